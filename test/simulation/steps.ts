import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { promisify } from 'node:util'

type Call = (this: unknown, ...args: unknown[]) => unknown

/** Functions of `node:fs` that change something and return when it is done. */
const CHANGES_NOW = ['writeSync', 'renameSync', 'unlinkSync', 'rmSync', 'mkdirSync', 'ftruncateSync'] as const

const realImmediate = setImmediate

/** Turns of the event loop without anything happening after which a process has come to rest. */
const CALM = 4

/**
 * Numbers everything that a process does to files, so that it can be killed at any of these steps, in the middle of a
 * write too, or held there while others go on.
 */
export class Steps {
  count = 0
  #killAt = Infinity
  #holdAt = Infinity
  readonly #held: Array<() => void> = []
  #inFlight = 0
  #activity = 0

  /** Whether something is held. */
  get holding(): boolean {
    return this.#held.length > 0
  }

  killIn(steps: number): void {
    this.#killAt = this.count + steps
  }

  holdIn(steps: number): void {
    this.#holdAt = this.count + steps
  }

  /** Lets what is held go on, and holds nothing any more. */
  release(): void {
    this.#holdAt = Infinity
    for (const go of this.#held.splice(0)) go()
  }

  /** Resolves when nothing is under way but what is held or waits for the clock. */
  async settle(): Promise<void> {
    for (let calm = 0; calm < CALM;) {
      const before = this.#activity
      await new Promise<void>((resolve) => void realImmediate(resolve))
      calm = this.#inFlight === 0 && this.#activity === before ? calm + 1 : 0
    }
  }

  /** One step that somebody waits for. */
  async run<T>(work: () => Promise<T> | T, half?: () => Promise<unknown> | undefined): Promise<T> {
    const step = ++this.count
    if (step === this.#killAt) {
      await half?.()
      die()
    }
    if (step >= this.#holdAt) await new Promise<void>((resolve) => this.#held.push(resolve))
    this.#inFlight++
    this.#activity++
    try {
      return await work()
    } finally {
      this.#inFlight--
      this.#activity++
    }
  }

  /** Wraps the file system of this process. Before anything that uses it is loaded. */
  async install(): Promise<void> {
    const promises = fs.promises as unknown as Record<string, Call>
    const probe = await fs.promises.open(process.execPath, 'r')
    this.#wrapAsync(Object.getPrototypeOf(probe) as Record<string, Call>, [
      ...['read', 'write', 'writeFile', 'sync', 'datasync', 'truncate', 'stat', 'utimes'],
    ])
    await probe.close()
    this.#wrapAsync(
      promises,
      Object.keys(promises).filter((name) => typeof promises[name] === 'function' && name !== 'watch'),
    )
    this.#wrapClose(promises)
    for (const name of CHANGES_NOW) this.#wrapNow(fs as unknown as Record<string, Call>, name)
    this.#wrapRead()
    const immediate = (run: (...args: unknown[]) => void, ...args: unknown[]) => {
      this.#activity++
      return realImmediate(run, ...args)
    }
    Object.assign(globalThis, { setImmediate: immediate })
    syncBuiltinESMExports()
  }

  #wrapAsync(target: Record<string, Call>, names: readonly string[]): void {
    for (const name of names) {
      const original = target[name]
      // eslint-disable-next-line @typescript-eslint/no-this-alias -- methods of file handles need theirs
      const steps = this
      target[name] = function (...args) {
        const half = name === 'write' ? () => writeHalf(original, this, args) : undefined
        return steps.run(() => original.apply(this, args), half)
      }
    }
  }

  #wrapNow(target: Record<string, Call>, name: string): void {
    const original = target[name]
    const begin = () => ++this.count === this.#killAt
    target[name] = function (...args) {
      if (begin()) {
        if (name === 'writeSync') void writeHalf(original, this, args)
        die()
      }
      return original.apply(this, args)
    }
  }

  /** Each file handle has a `close` of its own. */
  #wrapClose(promises: Record<string, Call>): void {
    const open = promises.open as (...args: unknown[]) => Promise<fs.promises.FileHandle>
    promises.open = async (...args) => {
      const handle = await open(...args)
      const close = handle.close.bind(handle)
      handle.close = () => this.run(close)
      return handle
    }
  }

  /** The engine reads databases through the promise form of `fs.read`. */
  #wrapRead(): void {
    const original = promisify(fs.read) as (...args: unknown[]) => Promise<unknown>
    const wrapped = () => {
      throw new Error('only the promise form is prepared for')
    }
    Object.defineProperty(wrapped, promisify.custom, {
      value: (...args: unknown[]) => this.run(() => original(...args)),
    })
    Object.assign(fs, { read: wrapped })
  }
}

/** A write of (descriptor,) buffer, offset, length, position that gets half way. */
function writeHalf(original: Call, self: unknown, args: unknown[]): Promise<unknown> | undefined {
  const at = args.findIndex((arg) => ArrayBuffer.isView(arg))
  if (at < 0) return undefined
  const bytes = args[at] as Uint8Array
  const offset = Number(args[at + 1] ?? 0)
  const length = Number(args[at + 2] ?? bytes.length - offset) >> 1
  const torn = [...args.slice(0, at + 1), offset, length, ...args.slice(at + 3)]
  return Promise.resolve(original.apply(self, torn))
}

/** Ends this process as a power switch does. */
export function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal arrives before this returns, but the compiler does not know that.
  for (;;);
}
