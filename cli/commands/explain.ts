import type { Command } from 'commander'
import { ladderOf } from '../../core/compact/levels.js'
import { KEYS } from '../../core/config/generated/keys.js'
import type { LoadedConfig } from '../../core/config/load.js'
import { expires } from '../../core/cost/kept-snapshots.js'
import { discover } from '../../core/discover.js'
import type { Hooks } from '../../core/hooks.js'
import { redact, redactValue } from '../../core/redact.js'
import type { DatabaseSettings } from '../../core/settings.js'
import { configure } from '../config.js'
import { type Context, createContext, print } from '../context.js'
import { addFlags, addStorageFlags } from '../flags.js'
import type { ExplainOutput } from '../generated/outputs.js'
import { estimate, estimateText } from '../estimate.js'
import { table } from '../table.js'

export function explainCommand(program: Command): void {
  const explaining = program
    .command('explain')
    .description('show the effective configuration: where each value came from, and what will happen when')
    .argument('[databases...]', 'files, folders or quoted patterns')
    .option('--assume <name=number...>', 'what the estimate of costs stands on, instead of what it assumes')
    .action(async (databases: string[], { assume = [] }: { assume?: string[] }, command: Command) => {
      const loaded = await configure(command, { databases })
      const context = createContext(command, loaded)
      const result = await explained(loaded, context, assume)
      print<ExplainOutput>(context, result, () => asText(result))
    })
  addStorageFlags(explaining, 'where to')
  addFlags(
    explaining,
    ...new Set(KEYS.map(({ path }) => path.split('.')[0]).filter((name) => name !== 'log' && name !== 'storage')),
  )
}

type Explained = Awaited<ReturnType<typeof explained>>

async function explained(loaded: LoadedConfig, { host }: Context, assume: readonly string[]) {
  const { resolved, values, storage } = loaded
  const databases = await discover(resolved.databases)
  return {
    file: loaded.file ?? null,
    layers: loaded.layers.map(({ source }) => source),
    settings: KEYS.filter(({ type }) => type !== 'list' && type !== 'storage').flatMap(
      ({ path, type, default: value }) => {
        const set = values.get(path)
        // A switch is only there when it is off.
        if (type === 'switch' && !set) return []
        return [
          { key: path, value: redactValue(set ? set.value : (value ?? null), path), origin: set?.origin ?? 'default' },
        ]
      },
    ),
    storages: storage.value.map(({ url, options }) => ({
      url: redact(url),
      options: redactValue(options),
      origin: storage.origin,
    })),
    plugins: loaded.plugins.map(({ name, origin, replaced, options }) => ({
      name,
      origin,
      replaced: replaced ?? null,
      options: redactValue(options ?? null),
      hooks: tappedBy(host.hooks, name),
    })),
    databases: databases.map(({ name, path, place }) => ({
      name,
      path,
      storages: place.storages.map(({ url }) => redact(url)),
      schedule: schedule(place.settings),
      history: history(place.settings),
    })),
    estimate: await estimate(databases, host, resolved.lease.ttl, assume),
    warnings: warnings(loaded),
  }
}

/** The hooks that a plugin taps, in the order in which data meets them. */
function tappedBy(hooks: Hooks, plugin: string): string[] {
  return Object.entries(hooks)
    .filter(([, hook]) => hook.taps.some(({ name }) => name === plugin))
    .map(([name]) => name)
}

/** Milliseconds as people write them. */
function time(milliseconds: number): string {
  const units: ReadonlyArray<readonly [number, string]> = [
    ...([
      [86_400_000, 'd'],
      [3_600_000, 'h'],
      [60_000, 'm'],
      [1000, 's'],
    ] as const),
  ]
  const [size, unit] = units.find(([one]) => milliseconds >= one && milliseconds % one === 0) ?? [1, 'ms']
  return `${milliseconds / size}${unit}`
}

function schedule({ sync, checkpoint, snapshot, compaction, validation }: DatabaseSettings): string[] {
  const lines = [
    `ships a commit at once after a quiet time, and every ${time(sync.interval)} under continuous writes`,
    `checkpoints from ${checkpoint.minPages} pages in the WAL${checkpoint.interval > 0 ? `, at the latest after ${time(checkpoint.interval)}` : ''}`,
    snapshot.interval > 0
      ? `takes a snapshot every ${time(snapshot.interval)}, if anything changed`
      : 'takes a snapshot only when asked',
  ]
  if (snapshot.maxChanges > 0) lines.push(`takes a snapshot after ${snapshot.maxChanges} transactions`)
  if (snapshot.maxInterval > 0)
    lines.push(`takes a snapshot at most ${time(snapshot.maxInterval)} after the first change`)
  if (snapshot.onIdle > 0) lines.push(`takes a snapshot after ${time(snapshot.onIdle)} without a commit`)
  if (snapshot.onStartup) lines.push('takes a snapshot at every start')
  if (compaction.levels.length > 0)
    lines.push(`merges files into spans of ${ladderOf(compaction).map(time).join(', ')}`)
  if (compaction.afterSnapshot) lines.push('applies retention after each snapshot')
  if (compaction.interval > 0) lines.push(`applies retention every ${time(compaction.interval)}`)
  if (validation.interval > 0) {
    const read = validation.depth === 'full' ? 'every byte of the history' : 'records and ends of every file'
    lines.push(`proves the backup every ${time(validation.interval)}: ${read}, and a trial restore of the newest state`)
  }
  return lines
}

function history(settings: DatabaseSettings): string[] {
  const { compaction, retention } = settings
  const [every, ...merged] = compaction.keep
  const lines = [`every transaction of the last ${time(every)}`]
  merged.forEach((keep, index) => {
    if (index < compaction.levels.length)
      lines.push(`a point every ${time(compaction.levels[index])} of the last ${time(keep)}`)
  })
  if (!expires(settings) || retention === false) lines.push('every snapshot: none is ever deleted')
  else {
    const { hourly, daily, weekly, monthly } = retention
    lines.push(`snapshots of the newest ${hourly} hours, ${daily} days, ${weekly} weeks and ${monthly} months`)
  }
  return lines
}

function warnings({ resolved, storage }: LoadedConfig): string[] {
  const growing = resolved.databases.filter(({ settings }) => !expires(settings)).map(({ path }) => path)
  const all: string[] = []
  if (growing.length > 0) {
    all.push(
      `nothing expires of ${growing.join(', ')}: the backup grows for ever. Turn on compaction.afterSnapshot, or start from a preset.`,
    )
  }
  const unsaid = resolved.databases.some(({ storages }) => storages === storage.value)
  if (storage.origin === 'default' && unsaid)
    all.push('no storage was given: backups lie on the same disk as the databases')
  if (resolved.databases.length === 0) all.push('no database is configured')
  return all
}

function asText({ file, layers, settings, storages, plugins, databases, estimate, warnings }: Explained): string {
  const show = (value: unknown) => (value === null ? '–' : typeof value === 'string' ? value : JSON.stringify(value))
  const list = (title: string, lines: readonly string[]) =>
    lines.length > 0 ? ['', title, ...lines.map((line) => `  ${line}`)] : []
  return [
    file === null ? 'no configuration file' : `configuration: ${file}`,
    ...list('put together from, weakest first', ['defaults', ...layers]),
    '',
    table(
      ['key', 'value', 'from'],
      settings.map(({ key, value, origin }) => [key, show(value), origin]),
    ),
    ...list(
      'storages',
      storages.map(({ url, options, origin }) => `${show(url)} ${show(options)} (${origin})`),
    ),
    ...list(
      'plugins, in order',
      plugins.map(
        ({ name, origin, hooks, replaced }) =>
          `${name} (${origin}${replaced === null ? '' : `, instead of the one of ${replaced}`})${hooks.length > 0 ? `: ${hooks.join(', ')}` : ''}`,
      ),
    ),
    ...databases.flatMap(({ name, path, storages, schedule, history }) => [
      ...list(`${name} (${path}) → ${storages.map(show).join(', ')}`, schedule),
      ...history.map((line) => `  keeps ${line}`),
    ]),
    ...list('a month, estimated', estimateText(estimate)),
    ...list('warnings', warnings),
  ].join('\n')
}
