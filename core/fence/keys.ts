import { hex16 } from '../object-keys.js'

/**
 * Where the objects lie by which writers know of each other. Litestream, our listings and retention pass all of them
 * over. Numbers are sixteen hex digits, so that a listing gives them in their order.
 */

/**
 * Where a process says that it is alive, once for all databases it ships to a prefix. No database can be in the way: its
 * files lie at least one level deeper.
 */
export function heartbeatKey(process: string): string {
  return `${HEARTBEATS}${process}.json`
}

/** Whether a key that somebody wrote down can be that of a heartbeat. */
export function isHeartbeatKey(key: unknown): key is string {
  return typeof key === 'string' && /^[0-9a-f]+\.json$/.test(key.slice(HEARTBEATS.length)) && key.startsWith(HEARTBEATS)
}

const HEARTBEATS = '.walrust/heartbeats/'

/** Where claims on a database lie: one object each, created only if absent; the highest epoch counts. */
export function claimsPrefix(name: string): string {
  return `${name}/walrust/claims/`
}

export function claimKey(name: string, epoch: number): string {
  return `${claimsPrefix(name)}${hex16(epoch)}.json`
}

/** The epoch of a claim on a database; `undefined` for any other key. */
export function parseClaimKey(name: string, key: string): number | undefined {
  return parseNumbered(claimsPrefix(name), key)
}

/** Marks a transaction whose level-0 file must never go: docs/fencing.md, "The fence post". */
export function fencePostKey(name: string, txid: number): string {
  return `${name}/walrust/fences/${hex16(txid)}.json`
}

/** The transaction of a fence post of a database; `undefined` for any other key. */
export function parseFencePostKey(name: string, key: string): number | undefined {
  return parseNumbered(`${name}/walrust/fences/`, key)
}

function parseNumbered(prefix: string, key: string): number | undefined {
  if (!key.startsWith(prefix)) return undefined
  const match = /^([0-9a-f]{16})\.json$/.exec(key.slice(prefix.length))
  const number = match ? Number.parseInt(match[1], 16) : 0
  return Number.isSafeInteger(number) && number > 0 ? number : undefined
}
