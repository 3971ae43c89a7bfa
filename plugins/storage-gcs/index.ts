import type { Plugin, StorageLocation, StoragePrices } from '../../core/index.js'
import { placeOf } from './place.js'

/** List prices. Free allowances and discounts are not in them. */
const PRICES: StoragePrices = {
  ...{ name: 'Google Cloud Storage, Standard, a region in the US, to the internet', asOf: '2026-11', currency: 'USD' },
  ...{ stored: 0.02, write: 0.005, read: 0.0004, egress: 0.12 },
}

/** Stores objects in Google Cloud Storage: `gs://bucket/prefix`. */
export function storageGcs(): Plugin {
  return {
    name: 'walrust:storage-gcs',
    apply(host) {
      const open = async (location: StorageLocation) => {
        const place = placeOf(location)
        const { GcsStore } = await import('./gcs-store.js')
        return new GcsStore(place)
      }
      host.registerStorage('gs', open, { prices: () => PRICES })
    },
  }
}
