/** Proves one backup for a `watch` that goes on shipping: a process of its own, ended when it has answered. */
import { getPriority, setPriority } from 'node:os'
import { loadConfig } from '../core/config/load.js'
import { packError } from '../core/error-transfer.js'
import { Host } from '../core/host.js'
import { SILENT } from '../core/log.js'
import { Remote } from '../core/remote.js'
import { type Proof, prove } from '../core/verify/prove.js'
import type { ValidationRequest } from '../core/verify/validator.js'
import { BUILT_IN, storagePlugin } from './built-in.js'
import type { ProofAnswer, ProofQuestion } from './validate.js'

/** Behind whatever else the machine has to do. */
const LOW = 10

// A terminal sends these to the whole group; when to end is for the one that asked to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
process.on('disconnect', () => process.exit())
process.once('message', (question: ProofQuestion) => {
  void answer(question).then((reply) => process.send?.(reply))
})

async function answer({ load, request }: ProofQuestion): Promise<ProofAnswer> {
  try {
    setPriority(Math.max(LOW, getPriority()))
    return { proof: await proveIt(load, request) }
  } catch (error) {
    return { error: packError(error) }
  }
}

async function proveIt(
  load: ProofQuestion['load'],
  { database, storage, depth, scratch }: ValidationRequest,
): Promise<Proof> {
  // Of the configuration only the plugins are wanted here: storages and transforms. The storage itself was resolved.
  const config = { storage: { url: storage.url } }
  const flags = { source: 'flags', folder: load.cwd, config, origin: () => 'flags' }
  const { resolved } = await loadConfig({ builtIn: BUILT_IN, env: process.env, flags, ...load })
  const host = new Host(SILENT, storagePlugin)
  for (const plugin of resolved.plugins) host.use(plugin)
  const remote = new Remote(await host.store(storage.url, storage.options), database, host.hooks)
  return await prove(remote, { depth, scratch })
}
