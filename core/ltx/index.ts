/**
 * The LTX file format, version 3: encode, decode, index, merge and checksums, streaming, without SQLite and without
 * input or output of its own. This is all that `walrust/ltx` exports.
 */
export { DatabaseChecksum, formatChecksum, pageChecksum } from './checksum.js'
export { LtxDecoder } from './decoder.js'
export { LtxEncoder } from './encoder.js'
export { LtxError, type LtxErrorCode } from './errors.js'
export {
  type ChecksumMode,
  isSnapshot,
  type LtxHeader,
  type LtxTrailer,
  readHeader,
  readTrailer,
  validateHeader,
} from './header.js'
export {
  CHECKSUM_FLAG,
  HEADER_SIZE,
  INDEX_SIZE_FIELD,
  isPageSize,
  lockPage,
  storedPages,
  TRAILER_SIZE,
} from './layout.js'
export { mergeLtx, type LtxSource, type MergeOptions } from './merge.js'
export { indexLength, type IndexEntry, readIndex } from './page-index.js'
