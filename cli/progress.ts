/** Told how far something has come: files done, files in all, bytes so far. */
export type Progress = (done: number, of: number, bytes: number) => void

/**
 * Shows progress while work is done, on a terminal only. The library for it is loaded only then: everybody else, and
 * every long-running process, does without.
 */
export async function withProgress<T>(what: string, work: (progress: Progress) => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return await work(() => undefined)
  const { default: cliProgress } = await import('cli-progress')
  const bar = new cliProgress.SingleBar({
    format: `${what} {bar} {percentage}% | {value}/{total} files | {megabytes} MB | {eta_formatted} left`,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
    noTTYOutput: false,
  })
  bar.start(1, 0, { megabytes: 0 })
  try {
    return await work((done, of, bytes) => {
      bar.setTotal(of)
      bar.update(done, { megabytes: Math.round(bytes / 1e6) })
    })
  } finally {
    bar.stop()
  }
}
