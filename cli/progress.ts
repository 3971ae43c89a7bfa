/** How far something has come. */
export interface ProgressState {
  /** Files done, and files in all. */
  readonly done: number
  readonly of: number
  /** Bytes so far, and in all where that is known. */
  readonly bytes?: number
  readonly total?: number
}

export type Progress = (state: ProgressState) => void

/** Milliseconds over which the rate is taken. */
const WINDOW = 3000
/** Milliseconds between two looks at it. */
const STEP = 200

/** Bytes per second over the last seconds. */
class Rate {
  readonly #seen: Array<{ at: number; bytes: number }> = []

  add(bytes: number, at: number): void {
    const newest = this.#seen.at(-1)
    if (newest && at - newest.at < STEP) return
    this.#seen.push({ at, bytes })
    while (this.#seen.length > 2 && at - this.#seen[0].at > WINDOW) this.#seen.shift()
  }

  get perSecond(): number {
    const [first, last] = [this.#seen.at(0), this.#seen.at(-1)]
    if (!first || !last || last.at === first.at) return 0
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at)
  }
}

/** What a person reads beside the bar: `120 of 1,040 MB, 85 MB/s, 11 s left`. */
export function progressText({ done, of, bytes = 0, total }: ProgressState, perSecond: number): string {
  const megabytes = (count: number) => Math.round(count / 1e6).toLocaleString('en')
  if (total === undefined) return `${done} of ${of} files`
  const parts = [`${megabytes(bytes)} of ${megabytes(total)} MB`, `${done} of ${of} files`]
  if (perSecond > 0) {
    parts.push(`${megabytes(perSecond)} MB/s`, `${duration(Math.ceil(Math.max(0, total - bytes) / perSecond))} left`)
  }
  return parts.join(', ')
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

/**
 * Shows progress while work is done, on a terminal only. The library for it is loaded only then: everybody else, and
 * every long-running process, does without.
 */
export async function withProgress<T>(what: string, work: (progress: Progress) => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return await work(() => undefined)
  const { default: cliProgress } = await import('cli-progress')
  const bar = new cliProgress.SingleBar({
    format: `${what} {bar} {percentage}% | {text}`,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
    noTTYOutput: false,
  })
  const rate = new Rate()
  bar.start(1, 0, { text: '' })
  try {
    return await work((state) => {
      const { done, of, bytes = 0, total } = state
      rate.add(bytes, performance.now())
      bar.setTotal(Math.max(1, total ?? of))
      bar.update(total === undefined ? done : bytes, { text: progressText(state, rate.perSecond) })
    })
  } finally {
    bar.stop()
  }
}
