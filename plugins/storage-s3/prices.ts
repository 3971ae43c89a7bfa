import type { StorageLocation, StoragePrices } from '../../core/index.js'
import { placeOf } from './place.js'

const list = (name: string, stored: number, write: number, read: number, egress: number): StoragePrices => ({
  ...{ name, asOf: '2026-11', currency: 'USD' },
  ...{ stored, write, read, egress },
})

/** List prices of the usual class, by the host of the endpoint. Free allowances and discounts are not in them. */
const SERVICES: ReadonlyArray<readonly [host: RegExp, prices: StoragePrices]> = [
  [/(^|\.)(tigris\.dev|storage\.dev)$/, list('Tigris, Standard', 0.02, 0.005, 0.0005, 0)],
  [/\.r2\.cloudflarestorage\.com$/, list('Cloudflare R2, Standard', 0.015, 0.0045, 0.00036, 0)],
  [/\.amazonaws\.com$/, list('Amazon S3, Standard, us-east-1, to the internet', 0.023, 0.005, 0.0004, 0.09)],
]

/** What a place costs, if its service is one of those that are known here. */
export function pricesOf(location: StorageLocation): StoragePrices | undefined {
  const { endpoint = 'https://s3.us-east-1.amazonaws.com' } = placeOf(location)
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : ''
  return SERVICES.find(([pattern]) => pattern.test(host))?.[1]
}
