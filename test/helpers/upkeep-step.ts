/**
 * Merges and removes what there is to merge and remove in a folder, as a process of its own, and kills itself at one
 * step: before the n-th call that changes something in storage, or in the middle of it where it writes. Says how many
 * calls there were if it came to its end.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { CompactionSettings, RetentionSettings } from '../../core/settings.js'

export interface UpkeepStepOptions {
  backups: string
  scratch: string
  name: string
  now: number
  compaction: CompactionSettings
  retention: RetentionSettings
  /** From 1; 0 for never. */
  killAt: number
  /** Do half of what the call would have written first. */
  torn: boolean
}

const options = JSON.parse(process.argv[2]) as UpkeepStepOptions
const { backups, scratch, name, now, compaction, retention, killAt, torn } = options
let calls = 0
const what: string[] = []

type Call = (...args: unknown[]) => Promise<unknown>

/** Lets a call through unless its number is up. */
function guarded(label: string, original: Call): Call {
  return async function (this: unknown, ...args: unknown[]) {
    what.push(label)
    if (++calls === killAt) {
      if (torn && label === 'write') {
        const [bytes, done] = args as [Uint8Array, number]
        await original.call(this, bytes, done, Math.floor((bytes.length - done) / 2))
      }
      process.kill(process.pid, 'SIGKILL')
      await new Promise(() => undefined)
    }
    return await original.apply(this, args)
  }
}

const fs = createRequire(import.meta.url)('node:fs/promises') as Record<string, Call>
for (const call of ['rename', 'link', 'unlink']) fs[call] = guarded(call, fs[call])
syncBuiltinESMExports()
const handle = await open(process.execPath, 'r')
const methods = Object.getPrototypeOf(handle) as Record<string, Call>
await handle.close()
methods.write = guarded('write' satisfies keyof FileHandle, methods.write)

const { Upkeep } = await import('../../core/compact/upkeep.js')
const { Host } = await import('../../core/host.js')
const { SILENT } = await import('../../core/log.js')
const { Remote } = await import('../../core/remote.js')
const { retentionGfs } = await import('../../plugins/retention-gfs/index.js')
const { storageFile } = await import('../../plugins/storage-file/index.js')
const host = new Host(SILENT)
host.use(storageFile())
host.use(retentionGfs())
const remote = new Remote(await host.store(pathToFileURL(backups).href), name, host.hooks)
const parts = {
  ...{ remote, hooks: host.hooks, log: SILENT, folder: scratch, compaction, retention, now: () => now },
  database: { name, path: name, stateDir: scratch },
}
await new Upkeep(parts, await remote.inventory()).run(true, new AbortController().signal)
process.stdout.write(`${JSON.stringify({ calls, what })}\n`)
