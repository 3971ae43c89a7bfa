import { isError, WalrustError } from '../errors.js'
import type { ObjectStore, PutOptions } from '../object-store.js'
import { bodyOf } from '../store-rules.js'

/** An object that stays: whether it can be written again tells what the store does about conditions. */
const PROBE = '.walrust-probe'
const TEXT = Buffer.from('walrust looks here whether this storage does what its plugin says.\n')
const NAME = 'walrust-probe'

/**
 * Tries what a store of a third party declares and safety rests on: that of two who create an object one is refused,
 * that a replaced version is noticed, that metadata comes back. A store that lies here would let two writers own one
 * transaction. Four small requests at most, once at each start.
 *
 * @param plugin for messages
 * Errors: `E_HOOK` for what is declared and not done; whatever the store throws
 */
export async function probeStore(store: ObjectStore, plugin: string): Promise<void> {
  const { createIfAbsent, replaceIfMatch, metadata } = store.capabilities
  const lie = (ability: string, seen: string) =>
    new WalrustError('E_HOOK', `plugin ${plugin} declares \`${ability}\` for ${store.url}, and ${seen}`, {
      ...{ plugin, hook: 'upload', storage: store.url },
      hint: `Nothing was shipped. Its author should run \`storeCases\` of walrust/testing, which say what to mend.`,
    })
  if (!createIfAbsent) {
    throw new WalrustError(
      'E_STORAGE',
      `the storage of plugin ${plugin} cannot create an object only if it is absent`,
      {
        ...{ plugin, storage: store.url },
        hint: 'Use a storage with conditional writes: without them two writers could overwrite each other.',
      },
    )
  }
  await write(store, { ifAbsent: true })
  if (await write(store, { ifAbsent: true })) throw lie('createIfAbsent', 'replaced an object that was there')
  if (replaceIfMatch && (await write(store, { ifMatch: 'no version has this etag' }).catch(() => false)))
    throw lie('replaceIfMatch', 'replaced a version that it was not asked to replace')
  if (metadata) {
    await write(store, { metadata: { [NAME]: 'kept' } })
    if ((await store.head(PROBE))?.metadata?.[NAME] !== 'kept')
      throw lie('metadata', 'does not give back what it was given')
  }
}

/** Whether the object was written; not, if the condition did not hold. */
async function write(store: ObjectStore, options: PutOptions): Promise<boolean> {
  try {
    await store.put(PROBE, () => bodyOf(TEXT), { size: TEXT.length, ...options })
    return true
  } catch (error) {
    if (isError(error, 'E_OBJECT_EXISTS')) return false
    throw error
  }
}
