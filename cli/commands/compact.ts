import type { Command } from 'commander'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CompactReport, compactReport } from '../../core/compact/report.js'
import { Upkeep } from '../../core/compact/upkeep.js'
import { formatSize } from '../../core/config/units.js'
import { WalrustError } from '../../core/errors.js'
import { openRemoval } from '../../core/fence/entry.js'
import type { ObjectStore } from '../../core/object-store.js'
import { type FileId, LEVEL_SNAPSHOT } from '../../core/object-keys.js'
import { Remote } from '../../core/remote.js'
import { type Context, print } from '../context.js'
import { addFlags, addStorageFlags, flagLayer } from '../flags.js'
import type { CompactOutput } from '../generated/outputs.js'
import { askWatcher } from '../running.js'
import { findStored, type StoredDatabase } from '../stored-database.js'
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
      const { context, database } = await findStored(command, name, { bucket })
      const [store] = await context.host.storesOf(database.storages)
      const target = { ...database, store }
      const result = (await throughWatcher(context, target, force)) ?? (await ownCompact(context, target, force))
      print<CompactOutput>(context, result, () => describe(result))
    })
  addStorageFlags(compacting, 'where it is')
  addFlags(compacting, 'retention', 'stateDir')
}

/** What is compacted: a database in one storage. */
interface Target extends StoredDatabase {
  store: ObjectStore
}

/** A running `watch` knows best what it has just shipped and merged: it is asked to do it, by its own settings. */
async function throughWatcher(
  context: Context,
  { name, path, settings, store }: Target,
  force: boolean,
): Promise<CompactReport | undefined> {
  const { stateDir } = settings
  const typed = 'retention' in flagLayer(context.command).config
  // With settings of our own nothing may be done before it is known that nobody watches.
  const options = { storage: store.url, force: force && !typed }
  const database = path !== undefined && existsSync(path) ? path : name
  const answer = await askWatcher<CompactReport | null>({ command: 'compact', database, stateDir, options })
  if (answer && typed) {
    throw new WalrustError('E_USAGE', `a running watch compacts ${name} by its own settings`, {
      database: name,
      hint: 'Leave the --retain flags out, or give them to `walrust watch`.',
    })
  }
  return answer ?? undefined
}

async function ownCompact(context: Context, target: Target, force: boolean): Promise<CompactReport> {
  const { host, log } = context
  const { name, store } = target
  const { compaction, retention } = target.settings
  const remote = new Remote(store, name, host.hooks)
  const folder = await mkdtemp(join(tmpdir(), 'walrust-compact-'))
  try {
    const { signal } = new AbortController()
    const inventory = await remote.inventory(signal)
    // What a `watch` was about to remove when it ended, its next start removes: nothing may be decided that counts on it.
    const { files, avoided } = await openRemoval(remote, inventory, signal)
    if (force) await remote.remove(files, signal)
    for (const file of files) inventory.remove(file)
    const parts = {
      ...{ remote, hooks: host.hooks, log, folder, compaction, retention, avoided },
      database: { name, path: name, stateDir: folder },
    }
    return await compactReport(remote, new Upkeep(parts, inventory), force, signal)
  } finally {
    await rm(folder, { recursive: true, force: true })
    await host.stop()
  }
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
