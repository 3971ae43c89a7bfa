import { type Command, InvalidArgumentError, Option } from 'commander'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { formatSize } from '../../core/config/units.js'
import { EXIT, messageOf, WalrustError } from '../../core/errors.js'
import { formatChecksum } from '../../core/ltx/checksum.js'
import type { IntegrityCheck } from '../../core/restore/database-target.js'
import {
  checkPlaces,
  firstThatCan,
  type Listed,
  listRemotes,
  tellPassedOver,
} from '../../core/restore/newest-remote.js'
import { parseTime } from '../../core/restore/point-in-time.js'
import { planPoint, restorePoint, type WantedPoint } from '../../core/restore/restore-point.js'
import { type Context, print } from '../context.js'
import { addStorageFlags } from '../flags.js'
import type { RestoreOutput } from '../generated/outputs.js'
import { withProgress } from '../progress.js'
import { rememberRestore } from '../remember-restore.js'
import { allStored, findStored, patternsOf, type StoredDatabase } from '../stored-database.js'
import { table } from '../table.js'
import { txid } from '../values.js'

interface RestoreCommandOptions {
  output?: string
  bucket?: string
  txid?: number
  timestamp?: string
  pointInTime?: string
  force?: boolean
  parallelism?: number
  cacheDir?: string
  integrityCheck: IntegrityCheck
  ifDbNotExists?: boolean
  ifReplicaExists?: boolean
  dryRun?: boolean
  all?: boolean
}

const MOST_PARALLEL = 64

export function restoreCommand(program: Command): void {
  const restoring = program
    .command('restore')
    .description('bring a database back')
    .argument('[name]', 'name of the database in storage, or a URL that ends in it')
    .option('-o, --output <file>', 'where the database goes (default: where the configuration has it)')
    .option('--all', 'every database of the configuration')
    .option('--txid <n>', 'exactly this transaction', txid)
    .option('--timestamp <time>', 'the newest state at or before this moment (ISO 8601)')
    .option('--point-in-time <point>', 'a transaction or a moment')
    .option('--force', 'replace a database that is there')
    .option('--if-db-not-exists', 'do nothing, successfully, if the database is there')
    .option('--if-replica-exists', 'do nothing, successfully, if there is no backup')
    .option('--dry-run', 'show what would be done, and change nothing')
    .option(
      '--cache-dir <folder>',
      'take what is here already from the spool of a `watch`, or the state directory it is in',
    )
    .option('--parallelism <n>', 'requests at a time', parallelism)
    .addOption(
      new Option('--integrity-check <how>', 'how thoroughly SQLite looks at the result')
        .choices(['full', 'quick', 'none'])
        .default('full'),
    )
    .action(async (name: string | undefined, options: RestoreCommandOptions, command: Command) => {
      checkTogether(name, options)
      const wanted = wantedPoint(options)
      if (name === undefined) await restoreAll(wanted, options, command)
      else await restoreOne(name, wanted, options, command)
    })
  addStorageFlags(restoring, 'where from')
}

/** What became of one database. */
type Outcome =
  | ({ database: string; action: 'restored' } & Awaited<ReturnType<typeof carryOut>>)
  | ({ database: string; action: 'planned' } & Awaited<ReturnType<typeof describePlan>>)
  | { database: string; action: 'skipped'; file: string; reason: 'database-exists' | 'no-backup' }
  | { database: string; action: 'failed'; file: string; error: { code: string; message: string; hint: string } }

async function restoreOne(
  name: string,
  wanted: WantedPoint,
  options: RestoreCommandOptions,
  command: Command,
): Promise<void> {
  const { context, database } = await findStored(command, name, options)
  try {
    const file = options.output ?? database.path
    if (file === undefined) {
      throw new WalrustError('E_USAGE', `tell where ${database.name} goes, with -o FILE: no configuration says so`)
    }
    const outcome = await bringBack(context, database, file, wanted, options)
    print<RestoreOutput>(context, outcome, () => describe(outcome))
  } finally {
    await context.host.stop()
  }
}

/** One after the other, each with all that the machine has. What fails holds up none of the others. */
async function restoreAll(wanted: WantedPoint, options: RestoreCommandOptions, command: Command): Promise<void> {
  const { context, databases } = await allStored(command)
  const outcomes: Outcome[] = []
  try {
    for (const pattern of context.loaded ? await patternsOf(context.loaded) : []) {
      context.log.warn('what is missing cannot be found by a pattern: restore it by its name', { pattern })
    }
    let gravest: number = EXIT.ok
    for (const database of databases) {
      const file = database.path ?? ''
      try {
        outcomes.push(await bringBack(context, database, file, wanted, options))
      } catch (error) {
        const failure =
          error instanceof WalrustError ? error : new WalrustError('E_INTERNAL', messageOf(error), { cause: error })
        const { code, message, hint } = failure
        context.log.error('not restored', { database: database.name, code, error: message, hint })
        outcomes.push({ database: database.name, action: 'failed', file, error: { code, message, hint } })
        gravest = Math.max(gravest, failure.exitCode)
      }
    }
    print<RestoreOutput>(context, { databases: outcomes }, () => outcomes.map(describe).join('\n'))
    process.exitCode = gravest
  } finally {
    await context.host.stop()
  }
}

async function bringBack(
  context: Context,
  database: StoredDatabase,
  file: string,
  wanted: WantedPoint,
  options: RestoreCommandOptions,
): Promise<Outcome> {
  const { name } = database
  if (options.ifDbNotExists && existsSync(file)) {
    return { database: name, action: 'skipped', file, reason: 'database-exists' }
  }
  const stores = await context.host.storesOf(database.storages)
  // Transactions are counted in each storage by itself: a number means the first one.
  const asked = wanted.txid === undefined ? stores : stores.slice(0, 1)
  const listed = await listRemotes(asked, name, context.host.hooks)
  if (options.ifReplicaExists && listed.every(({ inventory }) => inventory.size === 0)) {
    checkPlaces(asked)
    return { database: name, action: 'skipped', file, reason: 'no-backup' }
  }
  const passedOver = tellPassedOver(context.log)
  if (options.dryRun) {
    const plan = await firstThatCan(listed, (from) => describePlan(from, file, wanted, options), passedOver)
    return { database: name, action: 'planned', ...plan }
  }
  const done = await firstThatCan(listed, (from) => carryOut(from, file, wanted, options), passedOver)
  await rememberRestore(context, { name, file, checksum: BigInt(`0x${done.checksum}`), stores })
  return { database: name, action: 'restored', ...done }
}

async function carryOut(
  { remote, inventory }: Listed,
  file: string,
  wanted: WantedPoint,
  { force = false, integrityCheck, parallelism, cacheDir }: RestoreCommandOptions,
) {
  const result = await withProgress('restoring', (progress) =>
    restorePoint(remote, inventory, wanted, {
      ...{ target: file, force, integrityCheck },
      ...{ parallelism, cacheDir, progress },
    }),
  )
  return {
    storage: remote.store.url,
    file,
    txid: result.txid,
    timestamp: new Date(result.timestamp).toISOString(),
    checksum: formatChecksum(result.checksum),
    checksumCompared: result.checksumKnown,
    integrityCheck,
    bytes: result.size,
    files: result.files,
    cachedFiles: result.cached,
  }
}

async function describePlan(
  { remote, inventory }: Listed,
  file: string,
  wanted: WantedPoint,
  { force = false }: RestoreCommandOptions,
) {
  const plan = await planPoint(remote, inventory, wanted)
  const last = plan.files[plan.files.length - 1]
  const { timestamp = last.timestamp } = await remote.times(last)
  const exists = existsSync(resolve(file))
  return {
    storage: remote.store.url,
    file,
    /** Whether something is there, and whether that would be replaced. */
    exists,
    refused: exists && !force,
    txid: plan.txid,
    timestamp: new Date(timestamp).toISOString(),
    bytes: plan.files.reduce((sum, { size }) => sum + size, 0),
    files: plan.files.map(({ level, minTxid, maxTxid, size, key }) => ({ level, minTxid, maxTxid, bytes: size, key })),
  }
}

function describe(outcome: Outcome): string {
  const { database, action, file } = outcome
  switch (action) {
    case 'skipped':
      if (outcome.reason === 'no-backup') return `${database}: there is no backup; nothing was done`
      return `${database}: ${file} exists; nothing was done`
    case 'failed':
      return `${database}: not restored: ${outcome.error.message}`
    case 'planned': {
      const rows = outcome.files.map((part) => [
        part.level === 9 ? 'snapshot' : `level ${part.level}`,
        part.minTxid === part.maxTxid ? part.maxTxid : `${part.minTxid}–${part.maxTxid}`,
        formatSize(part.bytes),
      ])
      return [
        `${database} would be restored to ${file}`,
        `  transaction ${outcome.txid}, seen at ${outcome.timestamp}`,
        `  ${formatSize(outcome.bytes)} from ${countFiles(rows.length)} of ${outcome.storage}:`,
        table(['what', 'transactions', 'size'], rows).replaceAll(/^/gm, '    '),
        ...(outcome.refused ? [`  ${file} exists: it would be refused without --force`] : []),
        ...(outcome.exists && !outcome.refused ? [`  ${file} exists and would be replaced`] : []),
        'Nothing was changed.',
      ].join('\n')
    }
    case 'restored':
      return [
        `${database} restored to ${file}`,
        `  transaction ${outcome.txid}, seen at ${outcome.timestamp}`,
        `  ${formatSize(outcome.bytes)} from ${countFiles(outcome.files)}${outcome.cachedFiles > 0 ? `, ${outcome.cachedFiles} of them from this machine` : ''}`,
        `  database checksum ${outcome.checksum}${outcome.checksumCompared ? ', as recorded' : ' (none was recorded)'}`,
        `  integrity check: ${outcome.integrityCheck === 'none' ? 'not done' : 'ok'}`,
      ].join('\n')
  }
}

const countFiles = (count: number) => `${count} file${count === 1 ? '' : 's'}`

/** Refuses what does not go together. Errors: `E_USAGE`. */
function checkTogether(name: string | undefined, options: RestoreCommandOptions): void {
  const { all, output, force, ifDbNotExists } = options
  const refuse = (message: string) => {
    throw new WalrustError('E_USAGE', message)
  }
  if (name === undefined && !all) refuse('tell which database to restore, or --all of the configuration')
  if (name !== undefined && all) refuse(`either ${name} or --all can be restored`)
  if (all && output !== undefined) refuse('--all restores each database to its own place: leave -o out')
  if (all && (options.txid !== undefined || /^\d+$/.test(options.pointInTime ?? '')))
    refuse('transactions are counted in each database by itself: with --all, give a moment')
  if (output === '-') refuse('a database cannot be written to standard output')
  if (output === '') refuse('-o needs a file')
  if (force && ifDbNotExists) refuse('--force replaces a database, --if-db-not-exists leaves it alone: choose one')
}

/** The point that the options ask for; neither means the newest. */
function wantedPoint(options: RestoreCommandOptions): WantedPoint {
  const given = [options.txid, options.timestamp, options.pointInTime].filter((value) => value !== undefined)
  if (given.length > 1) {
    throw new WalrustError('E_USAGE', 'only one of --txid, --timestamp and --point-in-time can be given')
  }
  if (options.txid !== undefined) return { txid: options.txid }
  const text = options.timestamp ?? options.pointInTime
  if (text === undefined) return {}
  if (options.pointInTime === undefined || !/^(\d+|[0-9a-f]{16})$/.test(text)) return { time: parseTime(text) }
  try {
    return { txid: txid(text) }
  } catch (error) {
    throw new WalrustError('E_USAGE', `--point-in-time ${text}: ${messageOf(error)}`)
  }
}

function parallelism(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1 || value > MOST_PARALLEL) {
    throw new InvalidArgumentError(`Write a whole number from 1 to ${MOST_PARALLEL}.`)
  }
  return value
}
