/**
 * Restores over an old database, as a process of its own, and kills itself at one step: before the n-th call that
 * changes something on disk, or in the middle of it where it writes. Says how many calls there were if it came to its
 * end.
 */
import type { FileHandle } from 'node:fs/promises'
import { createRequire, syncBuiltinESMExports } from 'node:module'

export interface StepOptions {
  backups: string
  name: string
  path: string
  force: boolean
  /** From 1; 0 for never. */
  killAt: number
}

const { backups, name, path, force, killAt } = JSON.parse(process.argv[2]) as StepOptions
const what: string[] = []

type Call = (this: unknown, ...args: unknown[]) => unknown

/** Lets a call through unless its number is up. */
function guarded(label: string, original: Call): Call {
  return function (...args) {
    what.push(label)
    if (what.length === killAt) {
      if (label === 'write' && typeof args[0] === 'number') {
        const [file, bytes, at, length, position] = args as [number, Uint8Array, number, number, number]
        original.call(this, file, bytes, at, Math.floor(length / 2), position)
        die()
      }
      if (label === 'write') {
        const [bytes, at, length, position] = args as [Uint8Array, number, number, number]
        void (original.call(this, bytes, at, Math.floor(length / 2), position) as Promise<unknown>).then(die)
        return new Promise(() => undefined)
      }
      die()
    }
    return original.apply(this, args)
  }
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

const require = createRequire(import.meta.url)
const fs = require('node:fs') as Record<string, Call>
const promises = require('node:fs/promises') as Record<string, Call>
for (const call of ['linkSync', 'renameSync', 'rmSync']) fs[call] = guarded(call, fs[call])
fs.writeSync = guarded('write', fs.writeSync)
for (const call of ['rm', 'chmod', 'chown']) promises[call] = guarded(call, promises[call])
const handle = (await promises.open(process.execPath, 'r')) as FileHandle
const methods = Object.getPrototypeOf(handle) as Record<string, Call>
await handle.close()
for (const call of ['write', 'truncate', 'sync']) methods[call] = guarded(call, methods[call])
const Sqlite = require('better-sqlite3') as { prototype: Record<string, Call> }
for (const call of ['pragma', 'exec', 'close']) {
  Sqlite.prototype[call] = guarded(`sqlite ${call}`, Sqlite.prototype[call])
}
syncBuiltinESMExports()

const { Host } = await import('../../core/host.js')
const { SILENT } = await import('../../core/log.js')
const { Remote } = await import('../../core/remote.js')
const { restorePoint } = await import('../../core/restore/restore-point.js')
const { storageFile } = await import('../../plugins/storage-file/index.js')
const host = new Host(SILENT)
host.use(storageFile())
const remote = new Remote(await host.store(`file://${backups}`), name, host.hooks)
const options = { target: path, force, integrityCheck: 'full' } as const
await restorePoint(remote, await remote.inventory(), {}, options)
process.stdout.write(`${JSON.stringify(what)}\n`)
