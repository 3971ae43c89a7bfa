import { WalrustError } from '../errors.js'
import { formatChecksum } from '../ltx/checksum.js'
import { PageChecksums } from '../pages/page-checksums.js'
import type { Remote } from '../remote.js'
import type { RestorePlan } from './plan.js'
import { type PageSink, readFile } from './read-file.js'

/**
 * The page checksums of a state in storage, by reading the files that make it up, without writing the database.
 * Every file is verified, and so is that each continues the one before it, as far as they say.
 */
export async function readRemoteTable(remote: Remote, plan: RestorePlan, signal: AbortSignal): Promise<PageChecksums> {
  let table: PageChecksums | undefined
  for (const file of plan.files) {
    const facts = await remote.facts(file, signal)
    const before = table?.checksum
    const sink: PageSink = {
      begin: ({ pageSize, commit }) => {
        if (table?.pageSize !== pageSize) table = new PageChecksums(pageSize)
        if (commit < table.commit) table.resize(commit)
      },
      page: (page, _bytes, high, low) => table?.put(page, high, low),
    }
    const body = await remote.ltx(file, facts.codecs, signal)
    const header = await readFile(remote, file, body, sink, table?.commit ?? 0)
    table?.resize(header.commit)
    if (!table) throw new WalrustError('E_INTERNAL', `${file.key} was read without a header`)
    const overlaps = file !== plan.files[0] && header.minTxid <= plan.files[plan.files.indexOf(file) - 1].maxTxid
    if (before !== undefined && header.pre !== 0n && header.pre !== before && !overlaps) {
      throw new WalrustError('E_CHAIN_BROKEN', `${file.key} does not continue the file before it`, {
        database: remote.name,
      })
    }
    if (header.post !== 0n && header.post !== table.checksum) {
      const sums = `${formatChecksum(header.post)}, but the pages give ${formatChecksum(table.checksum)}`
      throw new WalrustError('E_CHECKSUM', `${file.key} ends in database checksum ${sums}`, { database: remote.name })
    }
  }
  if (!table) throw new WalrustError('E_NO_BACKUP', `there is no backup of ${remote.name}`, { database: remote.name })
  return table
}
