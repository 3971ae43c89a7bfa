import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How often it is looked whether there is enough garbage to be collected, milliseconds, and how much that is, bytes. */
const LOOK_EVERY = 2000
const ENOUGH = 2.5e6
/** Bytes. To collect a heap takes eight milliseconds for ten megabytes of it: a larger one is left to V8, which does most beside. */
const SMALL = 20e6

/**
 * For a process that runs for months: what it does often is done in WebAssembly and in the kernel. Each of these was
 * measured beside a writer at 6,700 commits a second (bench/README.md) and took no processor time.
 */
export function keepHeapSmall(): void {
  // Optimised code, and what V8 keeps to make it: six megabytes.
  for (const flag of ['--no-opt', '--optimize-for-size', '--memory-reducer-for-small-heaps']) setFlagsFromString(flag)
  collectOften()
}

/** V8 lets ten megabytes grow to sixteen before it looks for what nobody needs any more. It is asked to earlier. */
function collectOften(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let least = Infinity
  const look = () => {
    const used = getHeapStatistics().used_heap_size
    least = Math.min(least, used)
    if (used - least < ENOUGH || least > SMALL) return
    collect()
    least = getHeapStatistics().used_heap_size
  }
  setInterval(look, LOOK_EVERY).unref()
}
