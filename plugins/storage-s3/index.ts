import type { Plugin, StorageLocation } from '../../core/index.js'
import { placeOf } from './place.js'
import { pricesOf } from './prices.js'

/** Stores objects in S3 and what speaks its protocol: `s3://bucket/prefix`. */
export function storageS3(): Plugin {
  return {
    name: 'walrust:storage-s3',
    apply(host) {
      const open = async (location: StorageLocation) => {
        const place = placeOf(location)
        const { S3Store } = await import('./s3-store.js')
        return new S3Store(place)
      }
      host.registerStorage('s3', open, { prices: pricesOf })
    },
  }
}
