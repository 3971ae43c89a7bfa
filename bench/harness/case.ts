import type { Machine } from './machine.js'

/** One line of a table: what was done to what, and the figures. */
export interface Row {
  /** For instance `1,000 commits/s`. */
  what: string
  /** `walrust`, or the peer's name and version. */
  who: string
  /** Figures by name, with their unit in it: `peak MB`, `lag p50 ms`. Text where there is no number to give. */
  figures: Readonly<Record<string, number | string>>
}

/** What a case gets to work with. */
export interface Bench {
  /** A new empty folder; removed when the case is over. */
  folder: () => string
  /** How often each measurement is made; the median is reported. */
  runs: number
  /** Divides the durations: 1 for figures to be quoted, more for a look. */
  quick: boolean
  /** How long what takes minutes takes, if that was asked for. */
  minutes: number | undefined
  /** The only kind of storage to measure, if one was asked for. */
  storage: 'file' | 's3' | undefined
  /** Whether to measure the peers too. */
  peers: boolean
  machine: Machine
  /** Says what is going on, on stderr. */
  say: (text: string) => void
}

/** A measurement, in a file of its own under `bench/cases`. */
export interface Case {
  title: string
  /** What is measured and how, in a sentence or two: printed above the table. */
  about: string
  /** What is aimed at, where there is a goal. */
  goal?: string
  run(bench: Bench): Promise<Row[]>
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The value below which `part` of the values lie. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN
}

export function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits))
}
