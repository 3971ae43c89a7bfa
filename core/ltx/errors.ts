/**
 * What can be wrong with an LTX file or with its use.
 * - `LTX_TRUNCATED`: the file ends too early
 * - `LTX_CORRUPT`: a field, an order or a size that cannot be
 * - `LTX_CHECKSUM`: well-formed, but not the bytes that were written
 * - `LTX_UNSUPPORTED`: another version or unknown flags
 * - `LTX_USAGE`: a call out of order or with impossible arguments
 */
export type LtxErrorCode = 'LTX_TRUNCATED' | 'LTX_CORRUPT' | 'LTX_CHECKSUM' | 'LTX_UNSUPPORTED' | 'LTX_USAGE'

/** Every error of `walrust/ltx`. `offset` is where in the file it was noticed, in bytes, if that is known. */
export class LtxError extends Error {
  override readonly name = 'LtxError'
  constructor(
    readonly code: LtxErrorCode,
    message: string,
    readonly offset?: number,
  ) {
    super(offset === undefined ? message : `${message} (at byte ${offset})`)
  }
}
