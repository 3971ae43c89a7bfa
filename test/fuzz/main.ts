/**
 * Inputs by the million: `npm run fuzz -- --minutes 10 --seed 1 [--target NAME] [--rounds N]`. The rounds run on a
 * thread of their own; this one watches that each ends and that memory stays bounded. Ends with 1 at the first failure,
 * naming the command that repeats it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { round, TARGETS } from './targets.js'

/** A round takes milliseconds; one that takes so long does not end. */
const HANG_MS = 60_000
/** Bytes of the whole process. */
const MOST_MEMORY = 900_000_000

interface Work {
  seed: number
  rounds: number
  end: number
  target: string | undefined
  /** The seed at work. */
  at: SharedArrayBuffer
}

type Message = { done: number; counts: Record<string, number> } | { failed: string }

if (isMainThread) await watch()
else await work(workerData as Work)

async function watch(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      rounds: { type: 'string' },
      target: { type: 'string' },
    },
  })
  const seed = Number(values.seed)
  const end = Date.now() + (values.rounds === undefined ? Number(values.minutes) * 60_000 : 2 ** 40)
  const at = new SharedArrayBuffer(8)
  const current = new BigUint64Array(at)
  const rounds = values.rounds === undefined ? Number.MAX_SAFE_INTEGER : Number(values.rounds)
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { seed, rounds, end, target: values.target, at } satisfies Work,
    execArgv: ['--enable-source-maps'],
  })
  let result: Message | undefined
  worker.on('message', (message: Message) => (result = message))
  worker.on('error', (error) => (result = { failed: String(error.stack) }))
  let [last, since] = [-1n, Date.now()]
  while (!settled()) {
    await sleep(200)
    const now = Atomics.load(current, 0)
    if (now !== last) [last, since] = [now, Date.now()]
    const memory = process.memoryUsage().rss
    if (Date.now() - since > HANG_MS) result ??= { failed: `seed ${now} does not end` }
    if (memory > MOST_MEMORY) result ??= { failed: `seed ${now} takes ${memory} bytes` }
  }
  await worker.terminate()
  const found = settled()
  if (found && 'failed' in found) {
    process.stdout.write(`${found.failed}\n`)
    process.exitCode = 1
    return
  }
  const report = { seed, rounds: found?.done ?? 0, targets: found?.counts ?? {} }
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)

  function settled(): Message | undefined {
    return result
  }
}

async function work({ seed, rounds, end, target, at }: Work): Promise<void> {
  const current = new BigUint64Array(at)
  const counts: Record<string, number> = Object.fromEntries(TARGETS.map(({ name }) => [name, 0]))
  let done = 0
  try {
    for (; done < rounds && Date.now() < end; done++) {
      Atomics.store(current, 0, BigInt(seed + done))
      counts[await round(seed + done, target)]++
    }
    parentPort?.postMessage({ done, counts } satisfies Message)
  } catch (error) {
    const stack = (cause: unknown): string =>
      cause instanceof Error
        ? `${cause.stack ?? cause.message}\n${cause.cause ? stack(cause.cause) : ''}`
        : String(cause)
    parentPort?.postMessage({ failed: stack(error) } satisfies Message)
  }
}
