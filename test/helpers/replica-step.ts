/**
 * Brings a replica up to date, as a process of its own, and kills itself at one step: before the n-th call that changes
 * something on disk, or in the middle of it where it writes. Says how many calls there were if it came to its end.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { pathToFileURL } from 'node:url'

export interface StepOptions {
  backups: string
  name: string
  path: string
  /** From 1; 0 for never. */
  killAt: number
  /** Do half of what the call would have written first. */
  torn: boolean
}

const { backups, name, path, killAt, torn } = JSON.parse(process.argv[2]) as StepOptions
let calls = 0
const what: string[] = []

type Call = (...args: unknown[]) => Promise<unknown>

/** Lets a call through unless its number is up. */
function guarded(label: string, original: Call): Call {
  return async function (this: unknown, ...args: unknown[]) {
    what.push(label)
    if (++calls === killAt) {
      const [bytes, at, length, position] = args as [Uint8Array, number, number, number]
      if (torn && label === 'write') await original.call(this, bytes, at, Math.floor(length / 2), position)
      process.kill(process.pid, 'SIGKILL')
      await new Promise(() => undefined)
    }
    return await original.apply(this, args)
  }
}

const fs = createRequire(import.meta.url)('node:fs/promises') as Record<string, Call>
for (const call of ['rename', 'unlink']) fs[call] = guarded(call, fs[call])
syncBuiltinESMExports()
const handle = await open(process.execPath, 'r')
const methods = Object.getPrototypeOf(handle) as Record<string, Call>
await handle.close()
for (const call of ['write', 'truncate', 'sync'] satisfies Array<keyof FileHandle>) {
  methods[call] = guarded(call, methods[call])
}

const { Host } = await import('../../core/host.js')
const { SILENT } = await import('../../core/log.js')
const { Remote } = await import('../../core/remote.js')
const { Replica } = await import('../../core/replica/replica.js')
const { storageFile } = await import('../../plugins/storage-file/index.js')
const host = new Host(SILENT)
host.use(storageFile())
const remote = new Remote(await host.store(pathToFileURL(backups).href), name, host.hooks)
const replica = await Replica.open({ remote, path, interval: 10, log: SILENT })
await replica.poll(new AbortController().signal)
await replica.close()
process.stdout.write(`${JSON.stringify({ calls, what })}\n`)
