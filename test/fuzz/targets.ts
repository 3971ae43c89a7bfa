import { Random } from '../helpers/ltx-random.js'
import { targets as backup } from './backup.js'
import { targets as config } from './config.js'
import { targets as ltx } from './ltx.js'
import { targets as state } from './state.js'
import { targets as storage } from './storage.js'
import type { Target } from './target.js'
import { targets as wal } from './wal.js'

/** Everything that reads bytes from outside. */
export const TARGETS: readonly Target[] = [...ltx, ...wal, ...storage, ...state, ...backup, ...config]

/** Bytes that a round may take in buffers: inputs have some ten kilobytes, buffers of a megabyte each are used to write files. */
const MOST_MEMORY = 16_000_000

/** One round. Which target it is, and everything that happens in it, comes from the seed. */
export async function round(seed: number, only?: string): Promise<string> {
  const random = new Random(seed)
  const target = choose(random, only)
  const before = seed % 16 === 0 ? process.memoryUsage().arrayBuffers : undefined
  try {
    const work = target.run(random)
    if (work) await work
    if (before !== undefined) {
      const taken = process.memoryUsage().arrayBuffers - before
      if (taken > MOST_MEMORY) throw new Error(`${taken} bytes taken`)
    }
  } catch (error) {
    throw new Error(`npm run fuzz -- --target ${target.name} --seed ${seed} --rounds 1 repeats this`, { cause: error })
  }
  return target.name
}

function choose(random: Random, only: string | undefined): Target {
  const chosen = TARGETS.filter(({ name }) => only === undefined || name === only)
  if (chosen.length === 0) throw new Error(`there is no target ${only ?? ''}`)
  const all = TARGETS.reduce((sum, { share }) => sum + share, 0)
  let at = (random.word() / 2 ** 32) * all
  // The same numbers are drawn with and without `only`, so that the seed of a campaign repeats its round.
  const hit = TARGETS.find(({ share }) => (at -= share) < 0) ?? TARGETS[0]
  return only === undefined ? hit : chosen[0]
}
