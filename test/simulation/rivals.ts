import { parseClaimKey } from '../../core/fence/keys.js'
import { type FileId, LEVEL_SHIPPED, parseKey, parseSidecarKey } from '../../core/object-keys.js'
import { Violation } from './oracle.js'
import { realFs } from './real-fs.js'

/** What a request has changed in a storage. */
export interface Effect {
  readonly operation: 'put' | 'delete'
  readonly key: string
  /**
   * What lay under that name: nothing, ever; the bytes that are put, or others; or what had been deleted, which were
   * the same bytes or others. For what is deleted: `same`, or `none`.
   */
  readonly before: 'none' | 'same' | 'other' | 'gone-same' | 'gone-other'
}

/** The file that says what all machines have changed in a storage, one line each. */
export const changesOf = (folder: string) => `${folder}.changes`

/**
 * Holds what the machines do to one storage against what only one of them may do. From the moment that a successor has
 * the next transaction, whoever had the database before replaces nothing, deletes nothing and adds nothing that the chain
 * did not hold already. What it had under way before that moment is history.
 */
export class Rivals {
  readonly #name: string
  /** Whose the newest claim is, and since when: the first transaction that was shipped under it. */
  #holder: number | undefined
  #epoch = 0
  #since: number | undefined
  #newest = 0
  /** Files that somebody who had the database before put back: they are his own to delete. */
  readonly #putBack = new Set<string>()
  #lines = 0
  /** Effects that were looked at while two machines had the database. */
  looked = 0

  constructor(name: string) {
    this.#name = name
  }

  /** Which machine has the database, as far as storage knows. */
  get holder(): number | undefined {
    return this.#holder
  }

  /** The first transaction under the newest claim; `undefined` while none was shipped. */
  get since(): number | undefined {
    return this.#since
  }

  /** Notes what was changed in the storage of a folder since this was asked last. Errors: `fenced` */
  read(folder: string): void {
    if (!realFs.existsSync(changesOf(folder))) return
    const lines = realFs.readFileSync(changesOf(folder), 'utf8').split('\n')
    for (const line of lines.slice(this.#lines, -1)) {
      this.#lines++
      const { machine, ...effect } = JSON.parse(line) as Effect & { machine: number }
      this.effect(machine, effect)
    }
  }

  /** Notes what a machine has done. Errors: `fenced` */
  effect(machine: number, effect: Effect): void {
    const { operation, key, before } = effect
    const epoch = parseClaimKey(this.#name, key)
    if (epoch !== undefined) {
      if (operation === 'put') this.#claimed(machine, epoch)
      return
    }
    const id = parseKey('flat', key)
    const file = id?.name === this.#name ? id : undefined
    if (file?.level === LEVEL_SHIPPED && operation === 'put' && (before === 'other' || before === 'gone-other')) {
      throw new Violation('fenced', `machine ${machine} writes transaction ${file.maxTxid} over another one: ${key}`)
    }
    if (file && operation === 'put') this.#newest = Math.max(this.#newest, file.maxTxid)
    if (machine === this.#holder) {
      if (file?.level === LEVEL_SHIPPED && operation === 'put') this.#since ??= file.maxTxid
      return
    }
    if (this.#since === undefined) return
    this.looked++
    const beside = parseSidecarKey(this.#name, key)
    const wrong = file ? this.#wrong(file, effect) : beside && before === 'other' && 'replaces what is known of a file'
    if (wrong) throw new Violation('fenced', `machine ${machine}, which was given up, ${wrong}: ${operation} ${key}`)
  }

  /** The one that has the database has had time to make sure that nobody else ships the next transaction. */
  settled(): void {
    this.#since ??= this.#newest + 1
  }

  /** A machine says that it has shipped a transaction. Errors: `fenced` */
  shipped(machine: number, txid: number): void {
    if (machine === this.#holder || this.#since === undefined || txid < this.#since) return
    throw new Violation(
      'fenced',
      `machine ${machine}, which was given up, says that it has shipped transaction ${txid}`,
    )
  }

  #claimed(machine: number, epoch: number): void {
    if (epoch <= this.#epoch) return
    this.#epoch = epoch
    if (machine === this.#holder) return
    this.#holder = machine
    this.#since = undefined
    this.#putBack.clear()
  }

  #wrong({ level, maxTxid }: FileId, { operation, key, before }: Effect): string | false {
    if (operation === 'delete') return before === 'same' && !this.#putBack.has(key) && 'deletes a file'
    if (before === 'other') return 'replaces a file'
    if (maxTxid >= (this.#since ?? Infinity)) return 'adds to the chain'
    if (level === LEVEL_SHIPPED && before === 'none') return 'puts in a transaction'
    this.#putBack.add(key)
    return false
  }
}
