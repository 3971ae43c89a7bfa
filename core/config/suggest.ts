/** The candidate that a misspelt word was probably meant to be; `undefined` if none is near. */
export async function closestTo(word: string, candidates: readonly string[]): Promise<string | undefined> {
  if (candidates.length === 0) return undefined
  // Needed only by those who misspelt something.
  const { closest, distance } = await import('fastest-levenshtein')
  const same = candidates.find((candidate) => plain(candidate) === plain(word))
  if (same !== undefined) return same
  const best = closest(word, candidates)
  return distance(word, best) <= Math.max(1, Math.floor(word.length / 4)) ? best : undefined
}

/** A word without what people differ in when they write it: `sync_interval`, `syncInterval`, `sync-interval`. */
const plain = (word: string) => word.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
