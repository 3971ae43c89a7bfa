import type { DatabaseSettings } from '../../core/settings.js'
import type { Answer } from './sim-store.js'

/** What the engine under test is started with. */
export interface EngineOptions {
  /** Path of the database. */
  path: string
  /** Which machine it runs on. */
  machine: number
  /** Folder of each storage. */
  storages: readonly string[]
  /** What differs from the default settings. */
  settings: { [K in keyof DatabaseSettings]?: Partial<DatabaseSettings[K]> }
  shadow: boolean
  /** Whether the storages keep metadata. */
  metadata: boolean
  /** Whether what is over is deleted. Without it merged files come, and nothing goes, however far the clock jumps. */
  upkeep: boolean
  adopt: boolean
  /** Milliseconds by which the wall clock is ahead of where the first engine of a world began. */
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
  /** Merge and delete what is due, snapshots too. */
  | { do: 'tidy' }
  | { do: 'close' }
  | { do: 'jump'; milliseconds: number }
  /** Answers for the next requests to storage, or for the next ones of upkeep; after them everything goes. */
  | { do: 'answers'; answers: readonly Answer[]; delay: number; only?: 'upkeep' }
  /** Lets requests on hold go. */
  | { do: 'let-go' }
  | { do: 'kill-in'; steps: number }
  | { do: 'hold-in'; steps: number }
  | { do: 'release' }
  /** From the one of so many requests of a kind on, none gets through: that one may arrive, without an answer. */
  | { do: 'sleep-in'; requests: number; of: RequestKind; arrives: boolean }
  /** What was under way when it fell asleep arrives; there is no answer yet. */
  | { do: 'arrive' }
  /** Requests and answers get through again. */
  | { do: 'wake' }
  /** Time has passed while nothing could happen, by both clocks. */
  | { do: 'oversleep'; milliseconds: number }
  | { do: 'nothing' }

/** Requests at which a process falls asleep: any, those that delete, those that store a file of level 0 or what is beside files. */
export type RequestKind = 'any' | 'delete' | 'ship' | 'beside'

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
  /** Whether no requests get through. */
  asleep: boolean
  /** Whether it has claimed the database, and knows it. */
  claimed: boolean
  /** Virtual milliseconds since the process began, and steps on files so far. */
  time: number
  /** What the wall clock shows, milliseconds since the epoch. */
  wall: number
  steps: number
  state: string
  error: string | undefined
  /** Code of what has halted it. */
  halted: string | undefined
  /** Resident bytes. */
  memory: number
}

/** What the engine says by itself. */
export interface Said {
  level: string
  message: string
  fields: Readonly<Record<string, unknown>>
}
