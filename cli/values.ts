import { InvalidArgumentError } from 'commander'
import { parseDuration, parseSize } from '../core/config/units.js'

/** Parsers for the values of flags. commander puts the flag's name into the message. */

export function duration(text: string): number {
  const value = parseDuration(text)
  if (value === undefined) throw new InvalidArgumentError('Write a duration such as 500ms, 5s, 1h or 7d.')
  return value
}

export function size(text: string): number {
  const value = parseSize(text)
  if (value === undefined) throw new InvalidArgumentError('Write a size such as 64MiB or 5GiB.')
  return value
}

export function count(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('Write a whole number.')
  return value
}

/** A transaction: decimal, or the sixteen hex digits of file names. */
export function txid(text: string): number {
  const value = /^[0-9a-f]{16}$/.test(text) ? Number.parseInt(text, 16) : Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('Write a transaction number, from 1.')
  return value
}
