import type { Plugin } from '../../core/index.js'
import { placeOf } from './place.js'

/** Stores objects in Google Cloud Storage: `gs://bucket/prefix`. */
export function storageGcs(): Plugin {
  return {
    name: 'walrust:storage-gcs',
    apply(host) {
      host.registerStorage('gs', async (location) => {
        const place = placeOf(location)
        const { GcsStore } = await import('./gcs-store.js')
        return new GcsStore(place)
      })
    },
  }
}
