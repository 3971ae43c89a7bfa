import type { DatabaseSettings } from '../../core/settings.js'
import type { Answer } from './sim-store.js'

/** What the engine under test is started with. */
export interface EngineOptions {
  /** Path of the database. */
  path: string
  /** Folder of the storage. */
  storage: string
  /** What differs from the default settings. */
  settings: { [K in keyof DatabaseSettings]?: Partial<DatabaseSettings[K]> }
  shadow: boolean
  /** Whether the storage keeps metadata. */
  metadata: boolean
  adopt: boolean
  /** Milliseconds by which the wall clock is off. */
  clock: number
  /** A defect to plant, by name: see `sabotage.ts`. */
  sabotage?: string
}

/** What the engine under test can be told. Each is answered when everything it has set off is done or waits. */
export type Command =
  | { do: 'start' }
  | { do: 'advance'; milliseconds: number }
  /** Something was written to the WAL. */
  | { do: 'poke' }
  | { do: 'flush' }
  | { do: 'snapshot' }
  | { do: 'close' }
  | { do: 'jump'; milliseconds: number }
  /** Answers for the next requests to storage; after them everything goes. */
  | { do: 'answers'; answers: readonly Answer[]; delay: number }
  /** Lets requests on hold go. */
  | { do: 'let-go' }
  | { do: 'kill-in'; steps: number }
  | { do: 'hold-in'; steps: number }
  | { do: 'release' }
  | { do: 'nothing' }

/** How something ended that took its time. */
export interface Ended {
  token: number
  error?: { code: string; message: string }
}

export interface Reply {
  id: number
  /** Token of what was begun. */
  token: number
  ended: Ended[]
  /** Whether a step on files is held, and how many requests are. */
  holding: boolean
  waiting: number
  /** Virtual milliseconds since the process began, and steps on files so far. */
  time: number
  steps: number
  state: string
  error: string | undefined
  /** Resident bytes. */
  memory: number
}

/** What the engine says by itself. */
export interface Said {
  level: string
  message: string
  fields: Readonly<Record<string, unknown>>
}
