import type { StorageEntry, StorageObject } from './entries.js'
import { type Layer, originOf, type Sourced } from './layer.js'
import type { StorageSource } from './resolved.js'

/** Makes a storage URL of what was written: bare paths, bare bucket names, paths that start from a folder. */
export type StorageUrl = (text: string, folder: string) => string

/** A storage in the making: what has been said of it so far. */
interface Draft {
  readonly folder: string
  readonly origin: string
  readonly object: StorageObject
}

const schemeOf = (url: string | undefined) => /^([a-z][a-z0-9+.-]*):/i.exec(url ?? '')?.[1].toLowerCase()

const asObject = (entry: StorageEntry): StorageObject => (typeof entry === 'string' ? { url: entry } : entry)

/**
 * The storages that layers name. A URL is the same as an object with a `url`. An object is laid over the one before it
 * key by key, as long as both speak of one scheme: a preset gives the endpoint, the file the bucket, a flag another
 * bucket. A list replaces what was there, and a single one over a list keeps the settings of the entry with its URL.
 */
export function mergeStorages(layers: readonly Layer[], urlOf: StorageUrl): Sourced<StorageSource[]> | undefined {
  let drafts: Draft[] = []
  let set: Omit<Sourced, 'value'> | undefined
  layers.forEach((layer, index) => {
    const { storage } = layer.config
    if (storage === undefined) return
    const origin = originOf(layer, 'storage')
    set = storage === null ? undefined : { origin, layer: index }
    if (storage === null) drafts = []
    else if (Array.isArray(storage)) {
      drafts = storage.map((entry) => ({ folder: layer.folder, origin, object: asObject(entry) }))
    } else drafts = [over(drafts, asObject(storage), layer.folder, origin)]
  })
  if (!set) return undefined
  return { value: drafts.filter(({ object }) => object.url !== undefined).map((draft) => finish(draft, urlOf)), ...set }
}

function over(drafts: readonly Draft[], object: StorageObject, folder: string, origin: string): Draft {
  const below = drafts.length === 1 ? drafts[0] : drafts.find((draft) => draft.object.url === object.url)
  if (!below) return { folder, origin, object }
  const [theirs, ours] = [schemeOf(below.object.url), schemeOf(object.url)]
  if (theirs !== undefined && ours !== undefined && theirs !== ours) return { folder, origin, object }
  const merged: StorageObject = { ...below.object }
  for (const [key, value] of Object.entries(object)) {
    if (value === null) Reflect.deleteProperty(merged, key)
    else if (value !== undefined) merged[key] = value
  }
  return object.url === undefined ? { ...below, object: merged } : { folder, origin, object: merged }
}

function finish({ folder, object }: Draft, urlOf: StorageUrl): StorageSource {
  const { url = '', ...options } = object
  return { url: urlOf(url, folder), options }
}

/** The storages of an entry of `databases`: its own, or those of all. */
export function storagesOf(
  own: StorageEntry | StorageEntry[],
  folder: string,
  others: readonly StorageSource[],
  urlOf: StorageUrl,
): readonly StorageSource[] {
  const list = Array.isArray(own) ? own : [own]
  return list.map((entry) => {
    const { url, ...options } = asObject(entry)
    const place = url === undefined ? undefined : urlOf(url, folder)
    // Settings of the storage of all hold here too, where this is another place at the same service.
    const same = others.find((other) => place === undefined || schemeOf(other.url) === schemeOf(place))
    return { url: place ?? same?.url ?? '', options: { ...same?.options, ...options } }
  })
}
