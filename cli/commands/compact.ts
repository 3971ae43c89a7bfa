import type { Command } from 'commander'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CompactReport, compactReport } from '../../core/compact/report.js'
import { Upkeep } from '../../core/compact/upkeep.js'
import { formatSize } from '../../core/config/units.js'
import { WalrustError } from '../../core/errors.js'
import type { ObjectStore } from '../../core/object-store.js'
import { type FileId, LEVEL_SNAPSHOT } from '../../core/object-keys.js'
import { Remote } from '../../core/remote.js'
import type { DatabaseSettings } from '../../core/settings.js'
import { configure } from '../config.js'
import { type Context, createContext, openStorage, print } from '../context.js'
import { addFlags, addStorageFlags, flagLayer } from '../flags.js'
import { askWatcher } from '../running.js'
import { table } from '../table.js'

interface CompactOptions {
  bucket?: string
  force?: boolean
}

export function compactCommand(program: Command): void {
  const compacting = program
    .command('compact')
    .alias('prune')
    .description('merge what is to be merged, let go of what retention does not keep; shows the plan without --force')
    .argument('<name>', 'name of the database in storage')
    .option('--force', 'do it')
    .action(async (name: string, { bucket, force = false }: CompactOptions, command: Command) => {
      const context = createContext(command, await configure(command, { databases: [name] }))
      const store = await openStorage(context, bucket)
      const result =
        (await throughWatcher(context, name, store.url, force)) ?? (await ownCompact(context, name, store, force))
      print(context, result, () => describe(result))
    })
  addStorageFlags(compacting, 'where it is')
  addFlags(compacting, 'retention', 'stateDir')
}

/** A running `watch` knows best what it has just shipped and merged: it is asked to do it, by its own settings. */
async function throughWatcher(
  context: Context,
  name: string,
  storage: string,
  force: boolean,
): Promise<CompactReport | undefined> {
  const { stateDir } = settingsOf(context)
  const typed = 'retention' in flagLayer(context.command).config
  // With settings of our own nothing may be done before it is known that nobody watches.
  const options = { storage, force: force && !typed }
  const answer = await askWatcher<CompactReport | null>({ command: 'compact', database: name, stateDir, options })
  if (answer && typed) {
    throw new WalrustError('E_USAGE', `a running watch compacts ${name} by its own settings`, {
      database: name,
      hint: 'Leave the --retain flags out, or give them to `walrust watch`.',
    })
  }
  return answer ?? undefined
}

async function ownCompact(context: Context, name: string, store: ObjectStore, force: boolean): Promise<CompactReport> {
  const { host, log } = context
  const { compaction, retention } = settingsOf(context)
  const remote = new Remote(store, name, host.hooks)
  const folder = await mkdtemp(join(tmpdir(), 'walrust-compact-'))
  try {
    const parts = {
      ...{ remote, hooks: host.hooks, log, folder, compaction, retention },
      database: { name, path: name, stateDir: folder },
    }
    return await compactReport(remote, new Upkeep(parts, await remote.inventory()), force, new AbortController().signal)
  } finally {
    await rm(folder, { recursive: true, force: true })
    await host.stop()
  }
}

function settingsOf({ loaded }: Context): DatabaseSettings {
  if (!loaded) throw new WalrustError('E_INTERNAL', 'compacting needs a configuration')
  return loaded.resolved.databases[0].settings
}

function describe(result: CompactReport): string {
  const { database, done, merge, remove, needed, freed, before, after, points, earliest, newest, notes } = result
  const lines = [`${database}: ${before.files} files, ${formatSize(before.bytes)}`]
  if (merge.length > 0) lines.push(done ? 'merged:' : 'would be merged:', indent(mergeTable(merge)))
  if (remove.length > 0) lines.push(done ? 'removed:' : 'would be removed:', indent(fileTable(remove)))
  if (merge.length === 0 && remove.length === 0) lines.push('There is nothing to merge and nothing to remove.')
  if (needed.length > 0) lines.push('stays, because other points need it:', indent(fileTable(needed)))
  if (notes.length > 0) lines.push('what stays and why:', indent(notes.join('\n')))
  if (remove.length > 0)
    lines.push(`${remove.length} files, ${formatSize(freed)}${done ? ' freed' : ' would be freed'}`)
  if (after) lines.push(`now ${after.files} files, ${formatSize(after.bytes)}`)
  const from = earliest ? `transaction ${earliest.txid} at ${earliest.timestamp}` : 'none'
  const to = newest ? `transaction ${newest.txid} at ${newest.timestamp}` : 'none'
  lines.push(`${points} points can be restored ${done ? 'now' : 'then'}: from ${from} to ${to}`)
  if (!done && (merge.length > 0 || remove.length > 0)) lines.push('Nothing was changed. Do it with --force.')
  return lines.join('\n')
}

const indent = (text: string) => text.replaceAll(/^/gm, '  ')

const span = ({ minTxid, maxTxid }: Pick<FileId, 'minTxid' | 'maxTxid'>) =>
  minTxid === maxTxid ? String(maxTxid) : `${minTxid}–${maxTxid}`

const levelName = (level: number) => (level === LEVEL_SNAPSHOT ? 'snapshot' : `level ${level}`)

function fileTable(files: CompactReport['remove']): string {
  const rows = files.map((file) => [levelName(file.level), span(file), file.timestamp, formatSize(file.bytes)])
  return table(['what', 'transactions', 'time', 'size'], rows)
}

function mergeTable(merges: CompactReport['merge']): string {
  return table(
    ['into', 'transactions', 'files'],
    merges.map((merge) => [levelName(merge.level), span(merge), merge.files]),
  )
}
