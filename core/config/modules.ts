import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from './layer.js'
import { ConfigHelper, type FoundConfig } from './helper.js'
import { SEARCH_PLACES } from './places.js'

export { HelperProblem } from './helper.js'

/** Finds and loads what users have written: configurations, presets, plugins. */
export class Modules {
  readonly helper = new ConfigHelper()
  readonly #loaded = new Map<string, Promise<unknown>>()

  /** The configuration of a folder. Where there is none, no process is started to find that out. */
  async find(folder: string): Promise<FoundConfig | undefined> {
    const names = new Set(await readdir(folder).catch(() => [] as string[]))
    const places = SEARCH_PLACES.filter((name) => names.has(name))
    if (places.length === 0) return undefined
    if (places.length === 1 && places[0] === 'package.json' && !(await namesUs(join(folder, 'package.json')))) {
      return undefined
    }
    return await this.helper.ask('find', { folder })
  }

  async read(file: string): Promise<FoundConfig | undefined> {
    return await this.helper.ask('find', { folder: '/', file })
  }

  /**
   * The default export of a file or package, or all of its exports.
   *
   * Errors: {@link HelperProblem} if it cannot be found or understood; whatever it throws itself
   */
  async load(specifier: string, folder: string): Promise<{ main: unknown; all: Readonly<Record<string, unknown>> }> {
    const { code } = await this.helper.ask('compile', { specifier, folder })
    const key = createHash('sha256').update(code).digest('hex')
    const loading = this.#loaded.get(key) ?? import(`data:text/javascript,${encodeURIComponent(code)}`)
    this.#loaded.set(key, loading)
    const { default: all } = (await loading) as { default: Record<string, unknown> }
    return { main: mainExport(all), all }
  }

  close(): void {
    this.helper.close()
  }
}

/** CommonJS that was made from ESM has its default export one level deeper. */
function mainExport(all: Readonly<Record<string, unknown>>): unknown {
  const main = 'default' in all ? all.default : all
  return isRecord(main) && main.__esModule === true && 'default' in main ? main.default : main
}

async function namesUs(file: string): Promise<boolean> {
  try {
    const data: unknown = JSON.parse(await readFile(file, 'utf8'))
    return isRecord(data) && data.walrust !== undefined
  } catch {
    // Whoever reads it will say what is wrong with it, if anybody needs it.
    return false
  }
}
