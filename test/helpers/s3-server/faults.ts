/**
 * What can go wrong between a client and a storage service. Shared by the S3 and the GCS server.
 *
 * - `error`: 500 · `unavailable`: 503 · `throttle`: 503 or 429 with Retry-After
 * - `reset`: the connection is reset before anything is read · `hang`: no answer, ever
 * - `cut-request`: reset in the middle of the request's body · `cut-response`: in the middle of the answer's
 * - `slow`: the answer's body trickles · `lost-response`: done, but the answer never comes
 * - `conflict`: 409, as of two conditional writes at once · `precondition`: 412, though nothing is wrong
 * - `wrong-bytes`: a bit of the answer's body is flipped · `stale-list`: the newest objects are not listed
 * - `expired`: the credentials have expired · `skew`: the client's clock is wrong · `no-bucket`: the bucket is gone
 */
export const FAULTS = [
  'reset',
  'hang',
  'error',
  'unavailable',
  'throttle',
  'expired',
  'skew',
  'no-bucket',
  'cut-request',
  'conflict',
  'precondition',
  'lost-response',
  'cut-response',
  'slow',
  'wrong-bytes',
  'stale-list',
] as const

export type Fault = (typeof FAULTS)[number]

/** Those that pass by themselves: what a client has to get through without help. */
export const PASSING_FAULTS: readonly Fault[] = FAULTS.filter(
  (fault) => !['expired', 'skew', 'no-bucket', 'precondition', 'hang'].includes(fault),
)

interface Planned {
  fault: Fault
  matches: RegExp
  times: number
}

/** Decides, reproducibly, what goes wrong with each request. */
export class Faults {
  readonly counts: Partial<Record<Fault, number>> = {}
  readonly #rates = new Map<Fault, number>()
  #planned: Planned[] = []
  #state: number

  constructor(seed = 1) {
    this.#state = seed >>> 0
  }

  /** Lets faults happen to a part of all requests, 0 to 1 each, until told otherwise. */
  rates(rates: Partial<Record<Fault, number>>): void {
    this.#rates.clear()
    for (const [fault, rate] of Object.entries(rates)) this.#rates.set(fault as Fault, rate)
  }

  /** Lets a fault happen to the next `times` requests whose "METHOD /path?query" matches. */
  next(fault: Fault, matches: RegExp = /./, times = 1): void {
    this.#planned.push({ fault, matches, times })
  }

  clear(): void {
    this.#rates.clear()
    this.#planned = []
  }

  /** What happens to a request. */
  draw(request: string): ReadonlySet<Fault> {
    const drawn = new Set<Fault>()
    for (const [fault, rate] of this.#rates) if (this.random() < rate) drawn.add(fault)
    for (const planned of this.#planned) {
      if (planned.times <= 0 || !planned.matches.test(request)) continue
      planned.times--
      drawn.add(planned.fault)
    }
    this.#planned = this.#planned.filter(({ times }) => times > 0)
    return drawn
  }

  /** Counts what really happened: of several drawn faults the first decides. */
  happened(fault: Fault): void {
    this.counts[fault] = (this.counts[fault] ?? 0) + 1
  }

  /** Mulberry32. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
