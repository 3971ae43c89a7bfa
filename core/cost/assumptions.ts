import { WalrustError } from '../errors.js'
import type { StoragePrices } from './prices.js'

/** What nobody can know beforehand and an estimate stands on. */
export interface Workload {
  /** Hours a day in which something is written all the time. */
  readonly busyHours: number
  /** Hours a day in which a process ships to each storage, which tells there that it is alive. */
  readonly runningHours: number
  /** Part of a database that is rewritten in a day. */
  readonly turnover: number
  /** What compression leaves of a page. */
  readonly compressed: number
}

/** One of the things an estimate stands on, with where it came from. */
export interface Assumption {
  readonly name: string
  readonly value: number
  readonly meaning: string
  /** `assumed`, or the flag that set it. */
  readonly origin: string
}

const ASSUMED: Readonly<Record<keyof Workload, readonly [value: number, meaning: string, most: number]>> = {
  busyHours: [8, 'hours a day with commits all the time; each interval of them is one upload', 24],
  runningHours: [
    24,
    'hours a day in which `watch` runs; each storage gets one heartbeat of it in half a lease.ttl',
    24,
  ],
  turnover: [0.1, 'part of each database that is rewritten in a day', Infinity],
  compressed: [0.6, 'what compression leaves of a page', 1],
}

const PRICES = ['stored', 'write', 'read', 'egress'] as const
type PriceName = (typeof PRICES)[number]

/** The assumptions of an estimate: each can be replaced by its name. */
export class Assumptions {
  readonly workload: Workload
  readonly all: readonly Assumption[]
  readonly #prices = new Map<PriceName, number>()

  /** @param given `NAME=VALUE`, each. Errors: `E_USAGE` for a name that is not known and a value that cannot be. */
  constructor(given: readonly string[]) {
    const workload = {
      busyHours: ASSUMED.busyHours[0],
      runningHours: ASSUMED.runningHours[0],
      turnover: ASSUMED.turnover[0],
      compressed: ASSUMED.compressed[0],
    }
    const set = new Set<string>()
    for (const text of given) {
      const [, name = '', digits = ''] = /^\s*([\w.]+)\s*=\s*(\d+(?:\.\d+)?)\s*$/.exec(text) ?? []
      const value = Number(digits)
      const price = PRICES.find((one) => `price.${one}` === name)
      if (digits !== '' && price) this.#prices.set(price, value)
      else if (digits !== '' && Object.hasOwn(ASSUMED, name) && value <= ASSUMED[name as keyof Workload][2])
        workload[name as keyof Workload] = value
      else throw refused(text)
      set.add(name)
    }
    this.workload = workload
    const origin = (name: string) => (set.has(name) ? '--assume' : 'assumed')
    this.all = [
      ...Object.entries(ASSUMED).map(([name, [, meaning]]) => {
        return { name, value: workload[name as keyof Workload], meaning, origin: origin(name) }
      }),
      ...[...this.#prices].map(([price, value]) => {
        return { name: `price.${price}`, value, meaning: MEANINGS[price], origin: '--assume' }
      }),
    ]
  }

  /** A price list with what was said over it. Without one, prices that were given make one, if all of them were. */
  prices(list: StoragePrices | undefined): StoragePrices | undefined {
    const given = Object.fromEntries(this.#prices) as Partial<Record<PriceName, number>>
    if (list) return { ...list, ...given }
    const { stored, write, read, egress } = given
    if (stored === undefined || write === undefined || read === undefined || egress === undefined) return undefined
    return { name: 'as given with --assume', asOf: '', currency: 'USD', stored, write, read, egress }
  }
}

const MEANINGS: Readonly<Record<PriceName, string>> = {
  stored: 'price of a GB kept a month',
  write: 'price of a thousand requests that write or list',
  read: 'price of a thousand requests that read',
  egress: 'price of a GB that leaves the service',
}

function refused(text: string): WalrustError {
  const names = [...Object.keys(ASSUMED), ...PRICES.map((price) => `price.${price}`)]
  return new WalrustError('E_USAGE', `--assume ${text}: nothing of that name can be assumed, or not that much`, {
    hint: `Write NAME=NUMBER. Names are: ${names.join(', ')}`,
  })
}
