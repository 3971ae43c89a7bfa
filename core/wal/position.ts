/**
 * Two ways to say how far the WAL has been read.
 *
 * A {@link LogPosition} orders what this machine has seen: generations are numbered by us, one up for every restart of
 * the WAL that we witnessed. It means nothing to anyone else. A {@link WalPosition} can be proved against the WAL file
 * that lies on disk: only an identical running checksum at that frame, in the same generation, says that everything
 * before is what we read. Salts alone prove nothing (see docs/architecture.md, continuity).
 */
export interface LogPosition {
  readonly generation: number
  /** Frames of that generation taken so far. */
  readonly frame: number
}

export interface WalPosition {
  readonly salt1: number
  readonly salt2: number
  readonly frame: number
  /** Running checksum at that frame. */
  readonly s1: number
  readonly s2: number
}

export const LOG_START: LogPosition = { generation: 0, frame: 0 }

/** Negative if `a` comes before `b`, 0 if they are the same, positive otherwise. */
export function comparePositions(a: LogPosition, b: LogPosition): number {
  return a.generation - b.generation || a.frame - b.frame
}
