/**
 * The one door to the vendor's SDK. It is opened when the first request is made: an SDK costs more memory than the
 * rest of walrust, and whoever stores elsewhere should not carry it.
 */
import type * as Sdk from '@aws-sdk/client-s3'

export type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
export type S3Sdk = typeof Sdk

let loaded: Promise<S3Sdk> | undefined

/** The SDK, loaded once. */
export function loadSdk(): Promise<S3Sdk> {
  // Its note about the versions of Node that it will support in a year is for us, not for our users.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
  loaded ??= import('@aws-sdk/client-s3')
  return loaded
}
