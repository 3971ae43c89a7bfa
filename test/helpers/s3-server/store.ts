import { placeOf, type S3Place } from '../../../plugins/storage-s3/place.js'
import { S3Store } from '../../../plugins/storage-s3/s3-store.js'
import type { S3Server } from './index.js'

/** A store on a test server, as it is made from a URL and the environment. */
export function storeOn(server: S3Server, prefix = 'some/prefix', headers?: S3Place['headers']): S3Store {
  const location = {
    scheme: 's3',
    url: `s3://${server.bucket.name}/${prefix}`,
    options: { ...server.credentials },
  }
  const place = placeOf(location, server.environment)
  return new S3Store(headers ? { ...place, headers } : place)
}
