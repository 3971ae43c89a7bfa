import type { Command } from 'commander'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Upkeep, type UpkeepPlan } from '../../core/compact/upkeep.js'
import { formatSize } from '../../core/config/units.js'
import { WalrustError } from '../../core/errors.js'
import type { Merge } from '../../core/hooks.js'
import type { StoredFile } from '../../core/inventory.js'
import { type FileId, LEVEL_SNAPSHOT } from '../../core/object-keys.js'
import { Remote } from '../../core/remote.js'
import { configure } from '../config.js'
import { createContext, openStorage, print } from '../context.js'
import { addFlags, addStorageFlags } from '../flags.js'
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
    .action(async (name: string, options: CompactOptions, command: Command) => {
      const loaded = await configure(command, { databases: [name] })
      const context = createContext(command, loaded)
      const { host, log } = context
      const { compaction, retention } = loaded.resolved.databases[0].settings
      const remote = new Remote(await openStorage(context, options.bucket), name, host.hooks)
      const folder = await mkdtemp(join(tmpdir(), 'walrust-compact-'))
      try {
        const inventory = await remote.inventory()
        if (inventory.size === 0) {
          throw new WalrustError('E_NO_BACKUP', `there is no backup of ${name} in ${remote.store.url}`, {
            database: name,
          })
        }
        const upkeep = new Upkeep(
          {
            ...{ remote, hooks: host.hooks, log, folder, compaction, retention },
            database: { name, path: name, stateDir: folder },
          },
          inventory,
        )
        const plan = await upkeep.plan(true)
        const before = { files: inventory.size, bytes: inventory.bytes }
        const stays = await describeStay(remote, upkeep, plan)
        const done = options.force ? await upkeep.run(true, new AbortController().signal) : undefined
        const removed = done?.removed ?? plan.remove
        const result = {
          ...{ database: name, storage: remote.store.url, done: done !== undefined },
          merge: plan.merge.map(asMerge),
          remove: removed.map(asFile),
          needed: plan.needed.map(asFile),
          freed: removed.reduce((sum, { size }) => sum + size, 0),
          before,
          after: done ? { files: inventory.size, bytes: inventory.bytes } : null,
          ...stays,
          notes: plan.notes,
        }
        print(context, result, () => describe(result))
      } finally {
        await rm(folder, { recursive: true, force: true })
        await host.stop()
      }
    })
  addStorageFlags(compacting, 'where it is')
  addFlags(compacting, 'retention')
}

const asFile = ({ level, minTxid, maxTxid, size, timestamp, key }: StoredFile) => ({
  ...{ level, minTxid, maxTxid, bytes: size, timestamp: new Date(timestamp).toISOString(), key },
})

const asMerge = ({ level, sources }: Merge) => ({
  level,
  minTxid: sources[0].minTxid,
  maxTxid: sources[sources.length - 1].maxTxid,
  files: sources.length,
})

/** What remains: how many points, and the earliest and the newest of them. */
async function describeStay(remote: Remote, { inventory }: Upkeep, { points }: UpkeepPlan) {
  const at = async (point: number | undefined) => {
    const file = [...inventory.files()].find(({ maxTxid }) => maxTxid === point)
    if (!file) return null
    const { timestamp } = await remote.facts(file)
    return { txid: file.maxTxid, timestamp: new Date(timestamp ?? file.timestamp).toISOString() }
  }
  return { points: points.length, earliest: await at(points[0]), newest: await at(points.at(-1)) }
}

type Result = Awaited<ReturnType<typeof describeStay>> & {
  database: string
  done: boolean
  merge: Array<ReturnType<typeof asMerge>>
  remove: Array<ReturnType<typeof asFile>>
  needed: Array<ReturnType<typeof asFile>>
  freed: number
  before: { files: number; bytes: number }
  after: { files: number; bytes: number } | null
  notes: readonly string[]
}

function describe(result: Result): string {
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

function fileTable(files: Result['remove']): string {
  const rows = files.map((file) => [levelName(file.level), span(file), file.timestamp, formatSize(file.bytes)])
  return table(['what', 'transactions', 'time', 'size'], rows)
}

function mergeTable(merges: Result['merge']): string {
  return table(
    ['into', 'transactions', 'files'],
    merges.map((merge) => [levelName(merge.level), span(merge), merge.files]),
  )
}
