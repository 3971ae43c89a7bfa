import { type Command, Option } from 'commander'
import { WalrustError } from '../../core/errors.js'
import { formatChecksum } from '../../core/ltx/checksum.js'
import { Remote } from '../../core/remote.js'
import type { IntegrityCheck } from '../../core/restore/database-target.js'
import { planRestore } from '../../core/restore/plan.js'
import { parseTime, pointInTime } from '../../core/restore/point-in-time.js'
import { restore } from '../../core/restore/restore.js'
import { formatSize } from '../../core/config/units.js'
import { createContext, openStorage, print } from '../context.js'
import { withProgress } from '../progress.js'
import { txid } from '../values.js'

interface RestoreCommandOptions {
  output?: string
  bucket?: string
  txid?: number
  timestamp?: string
  pointInTime?: string
  force?: boolean
  integrityCheck: IntegrityCheck
}

export function restoreCommand(program: Command): void {
  program
    .command('restore')
    .description('bring a database back')
    .argument('<name>', 'name of the database in storage')
    .option('-o, --output <file>', 'where the database goes')
    .option('-b, --bucket <url>', 'where from')
    .option('--txid <n>', 'exactly this transaction', txid)
    .option('--timestamp <time>', 'the newest state at or before this moment (ISO 8601)')
    .option('--point-in-time <point>', 'a transaction or a moment')
    .option('--force', 'replace a database that is there')
    .addOption(
      new Option('--integrity-check <how>', 'how thoroughly SQLite looks at the result')
        .choices(['full', 'quick', 'none'])
        .default('full'),
    )
    .action(async (name: string, options: RestoreCommandOptions, command: Command) => {
      const context = createContext(command)
      if (options.output === undefined) throw new WalrustError('E_USAGE', 'tell where the database goes, with -o FILE')
      if (options.output === '-') throw new WalrustError('E_USAGE', 'a database cannot be written to standard output')
      const remote = new Remote(await openStorage(context, options.bucket), name, context.host.hooks)
      const inventory = await remote.inventory()
      const wanted = wantedPoint(options)
      const target =
        wanted.time === undefined
          ? (wanted.txid ?? inventory.newest)
          : await pointInTime(remote, inventory, wanted.time)
      const plan = planRestore(inventory, target, name)
      const result = await withProgress('restoring', (progress) =>
        restore(remote, plan, {
          target: options.output ?? '',
          force: options.force ?? false,
          integrityCheck: options.integrityCheck,
          progress,
        }),
      )
      const summary = {
        database: name,
        storage: remote.store.url,
        file: options.output,
        txid: result.txid,
        timestamp: new Date(result.timestamp).toISOString(),
        checksum: formatChecksum(result.checksum),
        checksumCompared: result.checksumKnown,
        integrityCheck: options.integrityCheck,
        bytes: result.size,
        files: result.files,
      }
      print(context, summary, () =>
        [
          `${name} restored to ${options.output}`,
          `  transaction ${result.txid}, seen at ${summary.timestamp}`,
          `  ${formatSize(result.size)} from ${result.files} file${result.files === 1 ? '' : 's'}`,
          `  database checksum ${summary.checksum}${result.checksumKnown ? ', as recorded' : ' (none was recorded)'}`,
          `  integrity check: ${options.integrityCheck === 'none' ? 'not done' : 'ok'}`,
        ].join('\n'),
      )
      await context.host.stop()
    })
}

/** The point that the options ask for; neither means the newest. */
function wantedPoint(options: RestoreCommandOptions): { txid?: number; time?: number } {
  const given = [options.txid, options.timestamp, options.pointInTime].filter((value) => value !== undefined)
  if (given.length > 1) {
    throw new WalrustError('E_USAGE', 'only one of --txid, --timestamp and --point-in-time can be given')
  }
  if (options.txid !== undefined) return { txid: options.txid }
  const text = options.timestamp ?? options.pointInTime
  if (text === undefined) return {}
  if (options.pointInTime !== undefined && /^\d+$/.test(text)) return { txid: txid(text) }
  return { time: parseTime(text) }
}
