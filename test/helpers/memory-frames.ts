import {
  BasePageSet,
  comparePositions,
  type FrameBatch,
  LayeredPageSet,
  type LogPosition,
  type PageCursor,
  type PageSet,
  type Plugin,
} from '../../core/index.js'

interface Page {
  high: number
  low: number
  bytes: Uint8Array
}

interface Segment {
  from: LogPosition
  to: LogPosition
  proof: FrameBatch['proof']
  pages: PageSet
  bytes: number
}

const NAME = 'walrust-plugin-memory-frames'

/** A source of frames as a third party might write it: what leaves the WAL is kept in memory. */
export default function memoryFrames(): Plugin {
  const databases = new Map<string, Segment[]>()
  return {
    name: NAME,
    walrust: '>=0.1',
    apply({ hooks, log }) {
      hooks.frameRead.tapPromise(NAME, async ({ reason, database, since, wal }) => {
        const segments = databases.get(database.name) ?? []
        databases.set(database.name, segments)
        if (reason === 'recover') segments.splice(0)
        if (reason === 'release' && wal) {
          segments.push(await copied(wal, since))
          log.info('frames kept', { segments: segments.length })
        }
        return batch(segments, reason === 'ship' ? wal : undefined)
      })
    },
  }
}

async function copied(wal: FrameBatch, since: LogPosition): Promise<Segment> {
  const set = wal.pages(since)
  const pages = new Map<number, Page>()
  const cursor = set.cursor()
  try {
    while (cursor.next()) {
      const bytes = new Uint8Array(set.pageSize)
      await cursor.read(bytes)
      pages.set(cursor.page, { high: cursor.high, low: cursor.low, bytes })
    }
  } finally {
    cursor.close()
  }
  const kept = new MemoryPages(set.pageSize, set.commit, pages)
  return { from: since, to: wal.to, proof: wal.proof, pages: kept, bytes: pages.size * set.pageSize }
}

function batch(segments: Segment[], wal: FrameBatch | undefined): FrameBatch | undefined {
  const held = [...segments]
  const first = held.at(0)
  const last = held.at(-1)
  if (!first || !last || (wal && comparePositions(wal.from, last.to) > 0)) return undefined
  return {
    from: first.from,
    to: wal?.to ?? last.to,
    proof: wal ? wal.proof : last.proof,
    bytes: held.reduce((sum, { bytes }) => sum + bytes, 0),
    pages: (since) => {
      const later = held.filter(({ to }) => comparePositions(to, since) > 0).map(({ pages }) => pages)
      return new LayeredPageSet(wal ? [...later, wal.pages(since)] : later)
    },
    close: () => undefined,
    trim: (upTo) => {
      while (segments.length > 0 && comparePositions(segments[0].to, upTo) <= 0) segments.shift()
    },
  }
}

class MemoryPages extends BasePageSet {
  constructor(
    readonly pageSize: number,
    readonly commit: number,
    private readonly kept: ReadonlyMap<number, Page>,
  ) {
    super()
  }

  cursor(): PageCursor {
    const { kept } = this
    const numbers = [...kept.keys()].sort((a, b) => a - b)
    let at = -1
    return {
      get page() {
        return numbers[at]
      },
      get high() {
        return kept.get(numbers[at])?.high ?? 0
      },
      get low() {
        return kept.get(numbers[at])?.low ?? 0
      },
      next: () => ++at < numbers.length,
      read: (into) => into.set(kept.get(numbers[at])?.bytes ?? []),
      close: () => undefined,
    }
  }
}
