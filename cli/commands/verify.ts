import type { Command } from 'commander'
import { resolve } from 'node:path'
import { formatSize } from '../../core/config/units.js'
import { ERRORS, EXIT } from '../../core/errors.js'
import { formatChecksum } from '../../core/ltx/checksum.js'
import { Remote } from '../../core/remote.js'
import { type Comparison, compareWithLive } from '../../core/verify/against.js'
import { type Finding, findingText } from '../../core/verify/finding.js'
import { trialRestore } from '../../core/verify/trial-restore.js'
import { verifyWithEnds, type VerifyResult } from '../../core/verify/verify.js'
import { type Context, print } from '../context.js'
import { addStorageFlags } from '../flags.js'
import type { VerifyOutput } from '../generated/outputs.js'
import { withProgress } from '../progress.js'
import { askWatcher } from '../running.js'
import { findStored, type StoredDatabase } from '../stored-database.js'

interface VerifyCommandOptions {
  bucket?: string
  quick?: boolean
  restore?: boolean
  scratch?: string
  against?: string
}

/** What a trial restore gave. */
interface Trial {
  txid: number
  bytes: number
  checksum: string
  checksumCompared: boolean
}

interface Proof extends VerifyResult {
  ok: boolean
  restored: Trial | undefined
  against: Omit<Comparison, 'finding'> | undefined
}

export function verifyCommand(program: Command): void {
  const verifying = program
    .command('verify')
    .description('prove that a backup is complete')
    .argument('<name>', 'name of the database in storage, or a URL that ends in it')
    .option('--quick', 'look at names, records and both ends of each file, and read no pages')
    .option('--restore', 'restore the newest state as well, let SQLite check it, and remove it again')
    .option('--scratch <folder>', 'where that is done (default: the folder for temporary files)')
    .option('--against <database>', 'prove as well that a live database is what storage has')
    .action(async (name: string, options: VerifyCommandOptions, command: Command) => {
      const { context, database } = await findStored(command, name, options)
      const proof = await prove(context, database, options)
      print<VerifyOutput>(context, proof, () => report(proof))
      process.exitCode = exitCode(proof.findings)
      const missing = proof.findings.find(({ code }) => code === 'codec-missing')
      if (missing) context.log.error(missing.what, { code: 'E_CODEC_MISSING', hint: ERRORS.E_CODEC_MISSING.hint })
      await context.host.stop()
    })
  addStorageFlags(verifying, 'where it is')
}

async function prove(context: Context, database: StoredDatabase, options: VerifyCommandOptions): Promise<Proof> {
  const [store] = await context.host.storesOf(database.storages)
  const remote = new Remote(store, database.name, context.host.hooks)
  const { quick, scratch } = options
  const { result, ends } = await withProgress('verifying', (progress) =>
    verifyWithEnds(remote, { progress: (done, of, bytes) => progress({ done, of, bytes }), quick }),
  )
  const { findings } = result
  let restored: Trial | undefined
  const isThere = !findings.some(({ code }) => code === 'nothing-found')
  if (options.restore && isThere) {
    const trial = await withProgress('restoring', (progress) => trialRestore(remote, { scratch, progress }))
    if ('code' in trial) findings.push(trial)
    else {
      const { txid, size, checksum, checksumKnown } = trial
      restored = { txid, bytes: size, checksum: formatChecksum(checksum), checksumCompared: checksumKnown }
    }
  }
  let against: Proof['against']
  if (options.against !== undefined && isThere) {
    const sync = () => syncWatcher(context, options.against ?? '')
    const { finding, ...comparison } = await compareWithLive(remote, ends, resolve(options.against), { sync })
    if (finding) findings.push(finding)
    against = comparison
  }
  return { ok: findings.length === 0, ...result, restored, against }
}

/** Has the process that watches a database ship what there is. False if there is none. */
async function syncWatcher({ loaded }: Context, path: string): Promise<boolean> {
  const file = resolve(path)
  const own = loaded?.resolved.databases.find((database) => resolve(database.path) === file)
  const { stateDir } = (own ?? loaded?.resolved.databases[0])?.settings ?? {}
  return (await askWatcher({ command: 'sync', database: file, stateDir })) !== undefined
}

function exitCode(findings: readonly Finding[]): number {
  if (findings.some(({ code }) => code === 'nothing-found')) return EXIT.restore
  // Nothing can be said of what is there: it is the installation that lacks something.
  if (findings.length > 0 && findings.every(({ code }) => code === 'codec-missing')) return EXIT.usage
  return findings.length > 0 ? EXIT.integrity : EXIT.ok
}

function report(proof: Proof): string {
  const { database, depth, findings, files, bytes, bytesRead, txid, checksum, timestamp, restored, against } = proof
  const looked =
    depth === 'full'
      ? `read all of ${files} files (${formatSize(bytes)}): hashes, pages, database checksums, order`
      : `looked at names, records and both ends of ${files} files (${formatSize(bytesRead)} of ${formatSize(bytes)}), at no pages`
  const lines =
    findings.length > 0
      ? [
          `${database}: ${findings.length} problem${findings.length === 1 ? '' : 's'} found; ${looked}`,
          ...findings.map((finding) => `  ${findingText(finding)}`),
        ]
      : [
          `${database}: complete up to transaction ${txid}${timestamp === undefined ? '' : `, seen at ${timestamp}`}`,
          `  ${looked}`,
          `  database checksum ${checksum ?? 'not known'}`,
        ]
  if (restored)
    lines.push(`  restored for trial: transaction ${restored.txid}, ${formatSize(restored.bytes)}, integrity check ok`)
  if (against && against.txid > 0 && !findings.some(({ code }) => code === 'differs'))
    lines.push(`  ${against.database} is exactly transaction ${against.txid}`)
  return lines.join('\n')
}
