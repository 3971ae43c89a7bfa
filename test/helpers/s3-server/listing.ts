import type { Bucket } from './objects.js'
import { document, element } from './xml.js'

/** Answers ListObjectsV2. */
export function listObjects(bucket: Bucket, query: URLSearchParams, pageSize: number, hidden: number): string {
  const prefix = query.get('prefix') ?? ''
  const token = query.get('continuation-token')
  const after = token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString()
  const limit = Math.min(pageSize, Number(query.get('max-keys') ?? 1000))
  const encode = query.get('encoding-type') === 'url' ? encodeURIComponent : (text: string) => text
  const visible = bucket.keys(prefix).filter((key) => {
    const object = bucket.objects.get(key)
    return (
      Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0 &&
      object &&
      object.generation <= bucket.generation - hidden
    )
  })
  const page = visible.slice(0, limit)
  const truncated = visible.length > page.length
  const contents = page.map((key) => {
    const { size, etag, modified } = bucket.objects.get(key)!
    return `<Contents>${element('Key', encode(key))}${element('LastModified', new Date(modified).toISOString())}${element('ETag', etag)}${element('Size', size)}<StorageClass>STANDARD</StorageClass></Contents>`
  })
  return document(
    'ListBucketResult',
    [
      element('Name', bucket.name),
      element('Prefix', encode(prefix)),
      element('KeyCount', page.length),
      element('MaxKeys', limit),
      element('IsTruncated', String(truncated)),
      truncated ? element('NextContinuationToken', Buffer.from(page.at(-1)!).toString('base64url')) : '',
      query.get('encoding-type') === 'url' ? element('EncodingType', 'url') : '',
      ...contents,
    ].join(''),
  )
}
