/**
 * The engine under test as a process of its own: `node engine-child.js '{"path": …}'`. Its clock is virtual, its steps
 * on files and its requests are numbered, and it does nothing without being told to.
 */
import { VirtualClock } from './clock.js'
import type { Command, Ended, EngineOptions, Reply, RequestKind, Said } from './protocol.js'
import { Random } from './random.js'
import { realFs } from './real-fs.js'
import { die, Steps } from './steps.js'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { changesOf } from './rivals.js'
import type { Answer, Network } from './sim-store.js'
import type { WalrustError } from '../../core/errors.js'

const options = JSON.parse(process.argv[2] ?? '{}') as EngineOptions
const clock = new VirtualClock()
const steps = new Steps()

/** Listeners for changes of the WAL, each told once. */
const watchers = new Set<() => void>()
fs.watch = ((_path: string, _options: unknown, listener: () => void) => {
  watchers.add(listener)
  return { on: () => undefined, close: () => watchers.delete(listener) }
}) as unknown as typeof fs.watch
syncBuiltinESMExports()
clock.install()
clock.jump(options.clock)
// Waits between attempts have a part of chance.
const random = new Random(1)
Math.random = () => random.next()
await steps.install()

/** Answers that were given beforehand, and requests that wait. */
let answers: Answer[] = []
let delay = 0
/** Which requests they are for. */
let only: 'upkeep' | undefined
/** Requests that merging and deleting makes, and hardly anything else. */
const ofUpkeep = (operation: string, key: string) =>
  operation === 'delete' || operation === 'get' || /\/000[1-8]\/|\/walrust\/[1-8]\//.test(key)
const held: Array<() => void> = []
/** A process that sleeps, or is cut off: what it has sent and what it is sent, until it is awake. */
let sleepIn = Infinity
let sleepAt: RequestKind = 'any'
const IS_OF: Readonly<Record<RequestKind, (operation: string, key: string) => boolean>> = {
  any: () => true,
  delete: (operation, key) => operation === 'delete' && key.endsWith('.ltx'),
  ship: (operation, key) => operation === 'put' && key.includes('/0000/'),
  beside: (operation, key) => operation === 'put' && /\/walrust\/[0-9]\//.test(key),
}
let firstArrives = false
let asleep = false
const sent: Array<() => void> = []
const answered: Array<() => void> = []
const waitAmong = (waiting: Array<() => void>) => new Promise<void>((resolve) => waiting.push(resolve))
const letGo = (waiting: Array<() => void>) => waiting.splice(0).forEach((go) => go())
const network: Network = {
  request: (operation, key) =>
    steps
      .run(async () => {
        await Promise.resolve()
        // The name of a heartbeat is drawn at random.
        say('debug', 'request', { operation, key: key.replace(/(heartbeats)\/[0-9a-f]+/, '$1/0') })
      })
      .then(async () => {
        if (asleep || (IS_OF[sleepAt](operation, key) && --sleepIn <= 0)) {
          const arrives = !asleep && firstArrives
          asleep = true
          if (!arrives) await waitAmong(sent)
          return 'late'
        }
        const meant = only === undefined || ofUpkeep(operation, key)
        const answer = (meant ? answers.shift() : undefined) ?? 'go'
        if (delay > 0) await new Promise<void>((resolve) => setTimeout(resolve, delay))
        if (answer !== 'hold') return answer
        await waitAmong(held)
        return 'go'
      }),
  answer: () => (asleep ? waitAmong(answered) : Promise.resolve()),
  // Whatever is killed, what has happened is known.
  changed: (folder, effect) => {
    realFs.appendFileSync(changesOf(folder), `${JSON.stringify({ machine: options.machine, ...effect })}\n`)
  },
  die,
}

function say(level: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
  process.send?.({ level, message, fields } satisfies Said)
}

const [{ Engine }, { Host }, { DEFAULT_SETTINGS }, { shadowWal }, { retentionGfs }, { simStorage }, { plant }] =
  await Promise.all([
    import('../../core/engine.js'),
    import('../../core/host.js'),
    import('../../core/settings.js'),
    import('../../plugins/shadow-wal/index.js'),
    import('../../plugins/retention-gfs/index.js'),
    import('./sim-store.js'),
    import('./sabotage.js'),
    // What is loaded on demand would otherwise be loaded at a moment that nobody can number.
    import('../../core/storage/retry.js'),
  ])

/** Whether this process has claimed the database: a claim of a process before it can arrive late. */
let claimed = false

const log = {
  debug: (message: string, fields?: object) => {
    claimed ||= message === 'claimed'
    say('debug', message, { ...fields })
  },
  info: (message: string, fields?: object) => say('info', message, { ...fields }),
  warn: (message: string, fields?: object) => say('warn', message, { ...fields }),
  error: (message: string, fields?: object) => say('error', message, { ...fields }),
}
const host = new Host(log)
host.use(simStorage(network, options.metadata))
if (options.shadow) host.use(shadowWal())
if (options.upkeep) host.use(retentionGfs())
if (options.sabotage !== undefined) await plant(options.sabotage, host)
host.hooks.notify.tap('simulation', (event) => say('event', event.event, { ...event }))
const engine = new Engine({ host, log, uploadConcurrency: 4 })
const forever = 100 * 365 * 86_400_000
const settings = {
  ...DEFAULT_SETTINGS,
  compaction: options.upkeep
    ? DEFAULT_SETTINGS.compaction
    : { ...DEFAULT_SETTINGS.compaction, keep: DEFAULT_SETTINGS.compaction.keep.map(() => forever) },
  adopt: options.adopt,
}
for (const [name, values] of Object.entries(options.settings)) {
  const before = settings[name as keyof typeof settings] as object
  Object.assign(settings, { [name]: { ...before, ...(values as object) } })
}

let tokens = 0
const ended: Ended[] = []

/** Something that goes on while other commands are taken. */
function begin(work: Promise<unknown>): void {
  const token = ++tokens
  work.then(
    () => ended.push({ token }),
    (error: unknown) => {
      const { code, message } = error as Partial<WalrustError>
      ended.push({ token, error: { code: code ?? 'none', message: message ?? String(error) } })
    },
  )
}

async function start(): Promise<void> {
  const stores = await Promise.all(options.storages.map((folder) => host.store(`sim://${folder}`)))
  await engine.add({ name: 'app', path: options.path, stores, settings })
}

async function tidy(): Promise<void> {
  const database = engine.get('app')
  if (database) await Promise.all(options.storages.map((folder) => database.compact(`sim://${folder}`, true)))
}

async function close(): Promise<void> {
  const unshipped = (await engine.close(1000)).at(0)
  await host.stop()
  if (unshipped) throw unshipped
}

/** What a command sets off; the answer is given when all of that is done or waits. */
const DOING: { [K in Command['do']]: (command: Extract<Command, { do: K }>) => Promise<void> | void } = {
  nothing: () => undefined,
  start: () => begin(start()),
  flush: () => begin(engine.flush()),
  snapshot: () => begin(engine.get('app')?.snapshot() ?? Promise.resolve()),
  tidy: () => begin(tidy()),
  close: () => begin(close()),
  advance: ({ milliseconds }) => clock.advance(milliseconds, () => steps.settle()),
  jump: ({ milliseconds }) => clock.jump(milliseconds),
  poke: () => {
    for (const listener of [...watchers]) listener()
  },
  answers: (command) => {
    answers = [...command.answers]
    delay = command.delay
    only = command.only
  },
  'let-go': () => letGo(held),
  'kill-in': (command) => steps.killIn(command.steps),
  'hold-in': (command) => steps.holdIn(command.steps),
  release: () => steps.release(),
  'sleep-in': (command) => {
    sleepIn = command.requests
    sleepAt = command.of
    firstArrives = command.arrives
  },
  arrive: () => letGo(sent),
  wake: () => {
    sleepIn = Infinity
    asleep = false
    letGo(sent)
    letGo(answered)
  },
  oversleep: ({ milliseconds }) => clock.sleep(milliseconds),
}

async function obey(command: Command): Promise<void> {
  await (DOING[command.do] as (command: Command) => Promise<void> | void)(command)
  await steps.settle()
}

process.on('message', ({ id, command }: { id: number; command: Command }) => {
  void obey(command).then(() => {
    const status = engine.status().databases.at(0)
    const reply: Reply = {
      id,
      token: tokens,
      ended: ended.splice(0),
      holding: steps.holding,
      waiting: held.length,
      asleep,
      claimed,
      time: clock.now,
      wall: Date.now(),
      steps: steps.count,
      state: status?.state ?? 'none',
      error: status?.error,
      halted: engine.get('app')?.halted?.code,
      memory: process.memoryUsage.rss(),
    }
    process.send?.(reply)
  })
})
process.on('disconnect', () => process.exit(0))
process.send?.({ level: 'info', message: 'ready', fields: {} } satisfies Said)
