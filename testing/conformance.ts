/** One thing that is expected of a plugin. Plain: `it(name, run)` in mocha, `test(name, run)` in other runners. */
export interface ConformanceCase {
  readonly name: string
  /** Fulfilled if it holds. Rejects with a {@link ConformanceError}, or with what the plugin itself threw. */
  readonly run: () => Promise<void>
}

/** A plugin does not do what its contract says. The message ends with what its author should mend. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError'

  constructor(
    /** What was seen. */
    readonly seen: string,
    /** What to do about it. */
    readonly mend: string,
    cause?: unknown,
  ) {
    super(`${seen}\n  To mend: ${mend}`, cause === undefined ? undefined : { cause })
  }
}

/** Throws unless `holds`. */
export function expect(holds: boolean, seen: string, mend: string): asserts holds {
  if (!holds) throw new ConformanceError(seen, mend)
}

/** Expects that work fails, and returns its error. */
export async function expectFailure(work: Promise<unknown>, seen: string, mend: string): Promise<Error> {
  try {
    await work
  } catch (error) {
    expect(error instanceof Error, `${String(error)} was thrown, which is no Error`, 'throw errors only')
    return error
  }
  throw new ConformanceError(seen, mend)
}

/** Milliseconds that a case may take: enough for a slow service, short enough to name what hangs. */
const LIMIT = 55_000

/** A case that ends in any event. */
export function conformanceCase(name: string, run: () => Promise<void>, limit = LIMIT): ConformanceCase {
  return {
    name,
    run: async () => {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => {
          const mend = 'settle every promise: put a deadline on requests, end bodies, honour `signal`'
          reject(new ConformanceError(`"${name}" was not over after ${limit / 1000} s`, mend))
        }, limit)
      })
      try {
        await Promise.race([run(), late])
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
