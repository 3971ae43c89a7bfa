/**
 * Restores a transaction as a process of its own, which lets everybody else go first: what is measured beside it is not
 * to be held up by it.
 */
import { setPriority } from 'node:os'
import { messageOf } from '../../core/errors.js'
import { restoreFrom } from './storage.js'

export interface RestorerOptions {
  folder: string
  name: string
  target: string
  txid: number
}

/** `checksum` in hexadecimal digits; or what went wrong. */
export type RestorerReport = { checksum: string } | { error: string }

setPriority(19)
const { folder, name, target, txid } = JSON.parse(process.argv[2] ?? '{}') as RestorerOptions
const report: RestorerReport = await restoreFrom(folder, name, target, txid).then(
  ({ checksum }) => ({ checksum: checksum.toString(16) }),
  (error: unknown) => ({ error: messageOf(error) }),
)
process.stdout.write(`${JSON.stringify(report)}\n`)
