/** The other side of {@link ConfigHelper}: a process of its own, ended when it has answered everything. */
import { dirname, join } from 'node:path'
import { messageOf } from '../errors.js'
import type { FoundConfig, HelperAnswer, HelperRequest, HelperRequests } from './helper.js'
import { SEARCH_PLACES } from './places.js'
import { markedSecrets, type SecretSchema } from './secrets.js'
import { SCHEMAS } from './validate-layer.js'

type Answers = {
  [Kind in keyof HelperRequests]: (request: HelperRequests[Kind]['request']) => Promise<HelperRequests[Kind]['answer']>
}

const answers: Answers = { find, compile, validate }

process.on('disconnect', () => process.exit())
process.on('message', (request: HelperRequest) => {
  void answer(request).then((reply) => process.send?.(reply))
})

async function answer(request: HelperRequest): Promise<HelperAnswer> {
  const { id, kind } = request
  try {
    return { id, answer: await (answers[kind] as (request: HelperRequest) => Promise<unknown>)(request) }
  } catch (error) {
    return { id, problem: messageOf(error) }
  }
}

async function find({ folder, file }: HelperRequests['find']['request']): Promise<FoundConfig | undefined> {
  const { cosmiconfig } = await import('cosmiconfig')
  const module = () => ({ module: true })
  const explorer = cosmiconfig('walrust', {
    searchPlaces: [...SEARCH_PLACES],
    searchStrategy: 'none',
    cache: false,
    loaders: Object.fromEntries(['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'].map((extension) => [extension, module])),
  })
  const found = file === undefined ? await explorer.search(folder) : await explorer.load(file)
  if (!found) return undefined
  const { filepath, isEmpty } = found
  const data: unknown = isEmpty ? {} : found.config
  return /\.[mc]?[jt]s$/.test(filepath)
    ? { file: filepath, module: true }
    : { file: filepath, module: false, data: data ?? {} }
}

async function compile({ specifier, folder }: HelperRequests['compile']['request']): Promise<{ code: string }> {
  const { bundle } = await import('./bundle.js')
  return { code: await bundle(specifier, folder) }
}

async function validate({
  value,
  schema,
  builtIn,
}: HelperRequests['validate']['request']): Promise<HelperRequests['validate']['answer']> {
  const { Ajv } = await import('ajv')
  const { readFile } = await import('node:fs/promises')
  const read = async (path: string) => JSON.parse(await readFile(path, 'utf8')) as object
  const ajv = new Ajv({ allErrors: true, strict: false, messages: false })
  let used = schema as object | undefined
  const shared: Record<string, SecretSchema> = {}
  if (builtIn !== undefined) {
    const file = join(SCHEMAS, 'plugins', `${builtIn}.json`)
    used = await read(file).catch(() => undefined)
    shared['shared.json'] = await read(join(dirname(SCHEMAS), 'schemas', 'shared.json'))
    ajv.addSchema(shared['shared.json'])
  }
  if (!used) return { errors: [], schema: {}, secrets: [] }
  const check = ajv.compile(used)
  const secrets = [...markedSecrets(value, used, used, shared)]
  return { errors: check(value) ? [] : (check.errors ?? []), schema: used, secrets }
}
