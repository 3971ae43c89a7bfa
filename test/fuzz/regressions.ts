/** Rounds that once failed, and what they found. */
export const REGRESSIONS: ReadonlyArray<{ target: string; seed: number; found: string }> = [
  { target: 'position', seed: 119, found: 'a page size that no database has was taken from a damaged position' },
  { target: 'merge', seed: 44_294, found: 'a header with a size out of the air made a merge write zeros without end' },
  {
    target: 'carry-over',
    seed: 20_261_373,
    found: 'a misspelt key of a litestream.yml showed the secrets in what it held',
  },
]
