import { open } from 'node:fs/promises'
import type { LocalFile, LocalFiles } from '../compact/merge-files.js'
import type { FileFacts } from '../facts.js'
import { readPieces } from '../fs/read-body.js'
import { hashBody } from '../hashing.js'
import type { StoredFile } from '../inventory.js'
import type { SpooledFile } from '../spool/spool.js'

/** So many are known at most: what is shipped in half a minute at a hundred files a second. */
const MOST = 4096

interface Sent {
  spooled: SpooledFile
  facts: FileFacts
}

/**
 * Files that this process has brought to storage and that still lie in the spool: merging them does not have to fetch
 * them back. Only what storage has confirmed to this process counts, and only while the bytes here have the hash that
 * they were sent with: everything else is read from storage. Nothing of it outlives the process.
 */
export class SentFiles implements LocalFiles {
  readonly #sent = new Map<string, Sent>()

  /** Storage has confirmed a file. */
  add(stored: StoredFile, spooled: SpooledFile, facts: FileFacts): void {
    this.#sent.set(stored.key, { spooled, facts })
    const [oldest] = this.#sent.keys()
    if (this.#sent.size > MOST) this.#sent.delete(oldest)
  }

  /** What lies in storage is looked at anew: whose files those are is not known before that. */
  clear(): void {
    this.#sent.clear()
  }

  /** Gives each file once: if something goes wrong with it, the next attempt reads what lies in storage. */
  async open(file: StoredFile): Promise<LocalFile | undefined> {
    const sent = this.#sent.get(file.key)
    this.#sent.delete(file.key)
    if (sent?.spooled.size !== file.size) return undefined
    const { facts, spooled } = sent
    // It may have left the cache, and once it is open it may.
    const handle = await open(spooled.path, 'r').catch(() => undefined)
    if (!handle) return undefined
    const hash = await hashBody(readPieces(handle)).catch(() => undefined)
    if (hash === facts.sha256) return { facts, body: () => readPieces(handle), close: () => handle.close() }
    await handle.close()
    return undefined
  }
}
