import type { DatabaseSource, StorageSource } from '../core/config/resolved.js'
import { formatSize } from '../core/config/units.js'
import { Assumptions } from '../core/cost/assumptions.js'
import {
  heartbeatsOf,
  type MonthlyCost,
  monthlyCost,
  restoreCost,
  snapshotsPerDay,
  sumOf,
  type Usage,
  usageOf,
} from '../core/cost/estimate.js'
import { keptSnapshots } from '../core/cost/kept-snapshots.js'
import type { FoundDatabase } from '../core/discover.js'
import { fileSize } from '../core/fs/file-size.js'
import type { Host } from '../core/host.js'
import { redact } from '../core/redact.js'
import type { ExplainOutput } from './generated/outputs.js'

type Estimate = ExplainOutput['estimate']
type StorageEstimate = Estimate['storages'][number]

/** What the databases that are there come to in a month, in each storage, and everything that this stands on. */
export async function estimate(
  databases: ReadonlyArray<FoundDatabase<DatabaseSource>>,
  host: Host,
  leaseTtl: number,
  assumed: readonly string[],
): Promise<Estimate> {
  const assumptions = new Assumptions(assumed)
  const { workload } = assumptions
  const usages = new Map<string, { storage: StorageSource; all: Usage[] }>()
  const sizes: Estimate['databases'] = []
  for (const { name, path, place } of databases) {
    const bytes = fileSize(path)
    const { settings, storages } = place
    const kept = await keptSnapshots(host.hooks, settings, snapshotsPerDay(settings, workload), Date.now())
    sizes.push({ name, bytes, snapshots: kept ?? null })
    for (const storage of storages) {
      const key = JSON.stringify([storage.url, storage.options])
      const { all } = usages.get(key) ?? { all: [] }
      usages.set(key, { storage, all: [...all, usageOf({ bytes, settings, keptSnapshots: kept }, workload)] })
    }
  }
  const storages: StorageEstimate[] = []
  for (const { storage, all } of usages.values()) {
    const prices = assumptions.prices(await host.prices(storage.url, storage.options))
    const shipping = sumOf(all)
    const heartbeats = heartbeatsOf(leaseTtl, workload)
    const usage = { ...shipping, writes: shipping.writes + heartbeats }
    storages.push({
      ...{ url: redact(storage.url), databases: all.length },
      stored: { snapshots: Math.round(usage.snapshots), changes: Math.round(usage.changes) },
      growth: Math.round(usage.growth),
      requests: {
        ...{ writes: Math.round(usage.writes), heartbeats: Math.round(heartbeats) },
        reads: Math.round(usage.reads),
      },
      merging: Math.round(usage.merging),
      restore: { bytes: Math.round(usage.restore), cost: prices ? cents(restoreCost(usage, prices)) : null },
      prices: prices ?? null,
      monthly: prices ? rounded(monthlyCost(usage, prices)) : null,
    })
  }
  return { assumptions: [...assumptions.all], databases: sizes, storages }
}

const cents = (amount: number) => Math.round(amount * 10_000) / 10_000

function rounded({ stored, requests, egress, total }: MonthlyCost): MonthlyCost {
  return { stored: cents(stored), requests: cents(requests), egress: cents(egress), total: cents(total) }
}

/** The estimate as people read it: first what it comes to, then what it stands on. */
export function estimateText({ assumptions, databases, storages }: Estimate): string[] {
  if (databases.every(({ bytes }) => bytes === 0)) return ['no database is there yet: there is nothing to estimate']
  return [
    ...databases.map(
      ({ name, bytes, snapshots }) =>
        `${name}: ${formatSize(bytes)}, ${snapshots === null ? 'every snapshot stays' : `${snapshots} snapshots stay`}`,
    ),
    ...storages.flatMap(storageText),
    ...assumptions.map(({ name, value, meaning, origin }) => `${origin}: ${name} = ${value}, ${meaning}`),
    'Others: --assume NAME=NUMBER, for these and for price.stored, price.write, price.read, price.egress.',
  ]
}

function storageText({ url, stored, growth, requests, merging, restore, prices, monthly }: StorageEstimate): string[] {
  const size = formatSize(stored.snapshots + stored.changes)
  const use = [
    `${size} lie there (${formatSize(stored.snapshots)} snapshots, ${formatSize(stored.changes)} changes)`,
    ...(growth > 0 ? [`${formatSize(growth)} are added every month and never go`] : []),
    `${requests.writes.toLocaleString('en')} requests a month that write (${requests.heartbeats.toLocaleString('en')} of them heartbeats), ${requests.reads.toLocaleString('en')} that read, ${formatSize(merging)} read for merging`,
  ]
  if (!prices || !monthly) return [`${url}:`, ...use, 'no prices are known for it'].map(indentAfterFirst)
  const money = (amount: number) => `${amount.toFixed(2)} ${prices.currency}`
  const { name, asOf } = prices
  return [
    `${url}: ${money(monthly.total)} a month (storage ${money(monthly.stored)}, requests ${money(monthly.requests)}, egress ${money(monthly.egress)})`,
    ...use,
    `one restore reads ${formatSize(restore.bytes)}: ${money(restore.cost ?? 0)}`,
    `prices: ${name}${asOf === '' ? '' : `, ${asOf}`}: ${prices.stored} per GB and month, ${prices.write} and ${prices.read} per 1,000 requests that write and read, ${prices.egress} per GB that leaves`,
  ].map(indentAfterFirst)
}

const indentAfterFirst = (line: string, index: number) => (index === 0 ? line : `  ${line}`)
