import type { Worker } from 'node:worker_threads'
import type { CheckpointResult } from '../database/connection.js'
import { WalrustError } from '../errors.js'
import type { CheckpointJob } from './checkpoint-thread.js'

/** A thread costs ten megabytes: it is ended when nobody has needed it for this long. */
const IDLE_MS = 30_000

interface Waiting {
  resolve: (result: CheckpointResult) => void
  reject: (error: Error) => void
}

type Answer = { id: number } & ({ result: CheckpointResult } | { error: string })

/** Runs checkpoints on a thread of their own, started on demand, one for the whole process. */
export class CheckpointPool {
  #worker: Promise<Worker> | undefined
  #waiting = new Map<number, Waiting>()
  #next = 1
  #timer: NodeJS.Timeout | undefined

  /** Checkpoints the database at `path` as far as its readers allow. Errors: `E_DATABASE_UNREADABLE`. */
  async run(path: string): Promise<CheckpointResult> {
    clearTimeout(this.#timer)
    const worker = await (this.#worker ??= this.#start())
    const id = this.#next++
    return await new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      worker.postMessage({ id, path } satisfies CheckpointJob)
    })
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    const worker = this.#worker
    this.#worker = undefined
    await (await worker)?.terminate()
  }

  async #start(): Promise<Worker> {
    const { Worker } = await import('node:worker_threads')
    const worker = new Worker(new URL('./checkpoint-thread.js', import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 },
    })
    worker.unref()
    worker.on('message', (answer: Answer) => {
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if ('result' in answer) waiting?.resolve(answer.result)
      else waiting?.reject(new WalrustError('E_DATABASE_UNREADABLE', `checkpoint failed: ${answer.error}`))
      if (this.#waiting.size === 0) this.#timer = setTimeout(() => void this.close(), IDLE_MS).unref()
    })
    const fail = (cause: Error) => {
      this.#worker = undefined
      const error = new WalrustError('E_INTERNAL', `the checkpoint thread ended: ${cause.message}`, { cause })
      for (const waiting of this.#waiting.values()) waiting.reject(error)
      this.#waiting.clear()
    }
    worker.on('error', fail)
    worker.on('exit', (code) => {
      if (this.#waiting.size > 0) fail(new Error(`exit code ${code}`))
    })
    return worker
  }
}
