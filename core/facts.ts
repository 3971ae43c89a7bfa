import { formatChecksum } from './ltx/checksum.js'
import type { LtxHeader } from './ltx/header.js'
import type { ObjectMetadata } from './object-store.js'

/**
 * What is known of a stored file besides its bytes: kept as the object's metadata, or in a sidecar where the store
 * cannot keep any. Everything is optional on the way in, because other tools write files too.
 */
export interface FileFacts {
  /** Milliseconds since the epoch. */
  timestamp: number | undefined
  /** SHA-256 of the object's bytes, hex. */
  sha256: string | undefined
  /** Database checksums before and after; 0 where there is none. */
  pre: bigint
  post: bigint
  /** SHA-256 of the file this one continues: a hash chain through level 0. */
  prev: string | undefined
  /** Transforms around the LTX file, in the order they were applied. */
  codecs: readonly string[]
  /**
   * For a file that was found by difference: since when commits may have passed unseen, milliseconds since the epoch.
   * No point in time between that and the file's own timestamp can be restored.
   */
  gapStart: number | undefined
  /**
   * Of a merged file that holds several such files: since when in the later ones, ascending. A snapshot may lie between
   * them, and what was before it is then of no interest.
   */
  laterGaps?: readonly number[]
}

/** So many are kept of a file: with more than that, the first and the last ones. */
const MOST_GAPS = 32

/** What is known of spans in which commits passed unseen. */
export type GapFacts = Pick<FileFacts, 'gapStart' | 'laterGaps'>

const KEY = {
  timestamp: 'litestream-timestamp',
  sha256: 'walrust-sha256',
  pre: 'walrust-pre',
  post: 'walrust-post',
  prev: 'walrust-prev',
  codecs: 'walrust-codecs',
  gapStart: 'walrust-gap-start',
  laterGaps: 'walrust-later-gaps',
} as const

/** Facts as object metadata. */
export function toMetadata(facts: FileFacts): ObjectMetadata {
  const metadata: Record<string, string> = {}
  if (facts.timestamp !== undefined) metadata[KEY.timestamp] = new Date(facts.timestamp).toISOString()
  if (facts.sha256) metadata[KEY.sha256] = facts.sha256
  if (facts.pre !== 0n) metadata[KEY.pre] = formatChecksum(facts.pre)
  if (facts.post !== 0n) metadata[KEY.post] = formatChecksum(facts.post)
  if (facts.prev) metadata[KEY.prev] = facts.prev
  if (facts.codecs.length > 0) metadata[KEY.codecs] = facts.codecs.join(',')
  if (facts.gapStart !== undefined) metadata[KEY.gapStart] = new Date(facts.gapStart).toISOString()
  if (facts.laterGaps?.length) metadata[KEY.laterGaps] = facts.laterGaps.map((time) => time.toString(36)).join(',')
  return metadata
}

const HASH = /^[0-9a-f]{64}$/
const CHECKSUM = /^[0-9a-f]{16}$/
/** Milliseconds since the epoch, to base 36. */
const LATER_GAPS = new RegExp(`^[0-9a-z]{1,9}(,[0-9a-z]{1,9}){0,${MOST_GAPS - 1}}$`)

/** Reads facts back. What is missing or malformed counts as not known; nothing is believed without being checked. */
export function fromMetadata(metadata: ObjectMetadata | undefined): FileFacts {
  const text = (key: string, form: RegExp) => {
    const value: unknown = metadata?.[key]
    return typeof value === 'string' && form.test(value) ? value : undefined
  }
  const checksum = (key: string) => BigInt(`0x${text(key, CHECKSUM) ?? '0'}`)
  const time = (key: string) => {
    const value = Date.parse(text(key, /^/) ?? '')
    return Number.isNaN(value) ? undefined : value
  }
  return {
    timestamp: time(KEY.timestamp),
    sha256: text(KEY.sha256, HASH),
    pre: checksum(KEY.pre),
    post: checksum(KEY.post),
    prev: text(KEY.prev, HASH),
    codecs: text(KEY.codecs, /^/)?.split(',').filter(Boolean) ?? [],
    gapStart: time(KEY.gapStart),
    laterGaps: text(KEY.laterGaps, LATER_GAPS)
      ?.split(',')
      .map((gap) => Number.parseInt(gap, 36)),
  }
}

/** Since when commits may have passed unseen in a file, once for each time that happened; ascending. */
export function gapsOf({ gapStart, laterGaps = [] }: GapFacts): number[] {
  return gapStart === undefined ? [] : [gapStart, ...laterGaps]
}

/** The same of a file that several were merged into. */
export function mergedGaps(files: Iterable<GapFacts>): GapFacts {
  const [gapStart, ...later] = [...new Set([...files].flatMap(gapsOf))].sort((a, b) => a - b)
  return later.length === 0 ? { gapStart } : { gapStart, laterGaps: later.slice(1 - MOST_GAPS) }
}

/** The facts that a file's own header holds. */
export function headerFacts(header: LtxHeader): Pick<FileFacts, 'timestamp' | 'pre' | 'post'> {
  return { timestamp: header.timestamp, pre: header.pre, post: header.post }
}
