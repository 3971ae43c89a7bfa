import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { diskError, writeDurably } from '../fs/durable.js'
import { hashFile, readFileBody } from '../fs/read-body.js'
import { formatChecksum } from '../ltx/checksum.js'
import { LtxDecoder } from '../ltx/decoder.js'
import type { LtxHeader } from '../ltx/header.js'
import type { ObjectBody } from '../object-store.js'
import type { PageChecksums } from '../pages/page-checksums.js'
import { PageChecksumFile } from '../spool/page-checksum-file.js'
import { type Position, PositionFile } from '../spool/position-file.js'
import { Spool, type SpooledFile } from '../spool/spool.js'

const RESTORED = 'restored'
const POSITION = 'position'

/** A state of a backup that was restored to this machine. */
export interface RestoredState {
  readonly txid: number
  /** Database checksum of it. */
  readonly checksum: bigint
}

/** Gives the LTX file inside a spooled file. */
export type Decode = (body: ObjectBody, codecs: readonly string[]) => Promise<ObjectBody>

/**
 * What this machine remembers of one database in one storage. All of it is an optimisation: with the folder gone,
 * the live database is compared with what lies in storage.
 */
export class LocalState {
  position: Position | undefined
  /** Page checksums at `position`; `undefined` if they could not be brought up to it. */
  table: PageChecksums | undefined
  /** Transaction up to which the table is safe on disk: files behind it are needed to bring it up again. */
  tableTxid = 0
  /** Whether the newest file came after the position was written: where it ended in the WAL is not known. */
  unplaced = false

  /** Database checksum of the first snapshot that was begun last; `undefined` if none was. */
  begun: bigint | undefined
  /** A state in storage that the database goes on from, restored here or known for our own; `undefined` if there is none. */
  restored: RestoredState | undefined

  readonly #decode: Decode

  private constructor(
    readonly folder: string,
    readonly spool: Spool,
    readonly tableFile: PageChecksumFile,
    readonly positionFile: PositionFile,
    decode: Decode,
  ) {
    this.#decode = decode
  }

  /**
   * Reads what there is. Nothing unreadable is an error here: it counts as not there.
   *
   * @param decode takes transforms off a spooled file, which lies there as it lies in storage
   */
  static async load(folder: string, decode: Decode): Promise<LocalState> {
    await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw diskError(error, folder)
    })
    const spool = await Spool.open(join(folder, 'spool'))
    const state = new LocalState(
      folder,
      spool,
      new PageChecksumFile(join(folder, 'pages.crc')),
      new PositionFile(join(folder, POSITION)),
      decode,
    )
    state.begun = await readChecksum(state.#begunPath)
    state.position = await state.positionFile.read()
    if (state.position) {
      await state.#forgetRestored()
      await state.#bringUp(state.position)
    } else state.restored = await readRestored(join(folder, RESTORED))
    return state
  }

  /** The newest transaction on this machine; 0 if there is none. */
  get txid(): number {
    return this.position?.txid ?? 0
  }

  get #begunPath(): string {
    return join(this.folder, 'begun')
  }

  /** Moves the position, on disk first: what was not written is not acted upon. Errors: `E_DISK_FULL`, `E_STATE`. */
  async writePosition(position: Position): Promise<void> {
    await this.positionFile.write(position)
    this.position = position
    if (this.restored) await this.#forgetRestored()
  }

  /**
   * Once there is a position, it says how far this machine has come. A note that outlived it could, long afterwards, take
   * a machine that woke up for one that was just restored.
   */
  async #forgetRestored(): Promise<void> {
    await rm(join(this.folder, RESTORED), { force: true }).catch((error: unknown) => {
      throw diskError(error, this.folder)
    })
    this.restored = undefined
  }

  /** Makes the table durable. Errors: `E_DISK_FULL`, `E_STATE`. */
  async saveTable(): Promise<void> {
    if (!this.table || !this.position) return
    const { txid } = this.position
    await this.tableFile.save(this.table, txid)
    this.tableTxid = txid
  }

  /**
   * Notes that a first snapshot is about to go to an empty storage. If a kill comes before the position is written, the
   * next start knows it for its own.
   */
  async begin(checksum: bigint): Promise<void> {
    await writeDurably(this.#begunPath, formatChecksum(checksum))
    this.begun = checksum
  }

  /**
   * Notes that the database may go on from a state in storage though the position is about to be forgotten. Until it is, a
   * kill leaves the position, by which the same is found out again.
   */
  async goOnFrom(state: RestoredState): Promise<void> {
    await writeRestored(this.folder, state)
    this.restored = state
  }

  /** Moves files out of the way that were spooled after `txid`: nothing goes on with them. */
  async setAsideBeyond(txid: number): Promise<void> {
    for (const file of this.spool.after(txid)) await this.spool.setAside(file)
  }

  /** Forgets everything: storage turned out to hold something else. Spooled files are moved out of the way. */
  async forget(): Promise<void> {
    for (const file of this.spool.files) await this.spool.setAside(file)
    this.position = undefined
    this.table = undefined
    this.tableTxid = 0
    this.unplaced = false
    await this.positionFile.clear()
  }

  async close(): Promise<void> {
    await this.tableFile.close()
    await this.positionFile.close()
  }

  /** Brings the table from where it was saved up to the newest file, with the files that are still here. */
  async #bringUp(position: Position): Promise<void> {
    const loaded = await this.tableFile.load()
    let table = loaded && loaded.txid <= position.txid ? loaded.table : undefined
    this.tableTxid = table ? (loaded?.txid ?? 0) : 0
    for (let txid = this.tableTxid + 1; table && txid <= position.txid; txid++) {
      const file = this.spool.find(txid)
      const header = file && (await this.#apply(file, table, position.codecs))
      if (!header || header.pageSize !== position.pageSize) table = undefined
    }
    const right = table?.checksum === position.checksum && table.commit === position.commit
    this.table = right ? table : undefined
    if (this.table) await this.#takeUnplaced(position, this.table)
  }

  /** A file that was spooled just before a kill, without its position: the chain goes on with it. */
  async #takeUnplaced(position: Position, table: PageChecksums): Promise<void> {
    const file = this.spool.find(position.txid + 1)
    if (!file) return
    const header = await this.#header(file, position.codecs)
    const continues = header?.pre === position.checksum && header.pageSize === position.pageSize
    if (!header || !continues || !(await this.#apply(file, table, position.codecs)) || table.checksum !== header.post) {
      // Perhaps half applied by now; it is rebuilt by comparing.
      this.table = undefined
      await this.spool.setAside(file)
      return
    }
    this.position = {
      ...position,
      txid: file.maxTxid,
      sha256: await hashFile(file.path),
      prev: position.sha256 || undefined,
      pre: header.pre,
      checksum: header.post,
      gapStart: undefined,
      commit: header.commit,
      timestamp: header.timestamp,
      proof: undefined,
    }
    this.unplaced = true
  }

  /** Puts the page checksums of a spooled file into the table. `undefined` if the file is not whole and right. */
  async #apply(file: SpooledFile, table: PageChecksums, codecs: readonly string[]): Promise<LtxHeader | undefined> {
    const decoder = new LtxDecoder({ pageChecksums: true, before: table.commit })
    try {
      for await (const piece of await this.#decode(readFileBody(file.path), codecs)) {
        decoder.push(piece)
        applyPages(decoder, table)
      }
      decoder.finish()
      return applyPages(decoder, table) ? decoder.header : undefined
    } catch {
      return undefined
    }
  }

  async #header(file: SpooledFile, codecs: readonly string[]): Promise<LtxHeader | undefined> {
    const decoder = new LtxDecoder()
    try {
      for await (const piece of await this.#decode(readFileBody(file.path), codecs)) {
        decoder.push(piece)
        if (decoder.next() === 'header') return decoder.header
      }
    } catch {
      return undefined
    }
    return undefined
  }
}

/**
 * Notes that the database was restored to what a storage has, in the folder of that storage. What is committed to it
 * before shipping begins goes on from there, and is not taken for the data of a machine that woke up.
 *
 * Whatever position was kept there is forgotten: it was that of another file. Nobody may be shipping from that folder.
 */
export async function noteRestored(folder: string, state: RestoredState): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw diskError(error, folder)
  })
  // In this order: a note beside a position is older than it, and does not count.
  await new PositionFile(join(folder, POSITION)).clear()
  await writeRestored(folder, state)
}

async function writeRestored(folder: string, { txid, checksum }: RestoredState): Promise<void> {
  await writeDurably(join(folder, RESTORED), `${formatChecksum(checksum)} ${txid}`)
}

/** The position that a folder of a storage holds. */
export async function readPosition(folder: string): Promise<Position | undefined> {
  return await new PositionFile(join(folder, POSITION)).read()
}

async function readRestored(path: string): Promise<RestoredState | undefined> {
  const note = /^([0-9a-f]{16}) (\d{1,15})$/.exec(await readFile(path, 'utf8').catch(() => ''))
  return note ? { checksum: BigInt(`0x${note[1]}`), txid: Number(note[2]) } : undefined
}

async function readChecksum(path: string): Promise<bigint | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return /^[0-9a-f]{16}$/.test(text) ? BigInt(`0x${text}`) : undefined
}

/** Applies what the decoder has; whether it has come to the end. */
function applyPages(decoder: LtxDecoder, table: PageChecksums): boolean {
  for (;;) {
    const step = decoder.next()
    if (step === 'more') return false
    if (step === 'end') {
      table.resize(decoder.header.commit)
      return true
    }
    // It grows with the pages that come, never by what a damaged header says.
    if (step === 'header' && decoder.header.commit < table.commit) table.resize(decoder.header.commit)
    if (step === 'page') table.put(decoder.page, decoder.high, decoder.low)
  }
}
