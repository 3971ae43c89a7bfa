import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashFile, readFileBody } from '../../../core/fs/read-body.js'
import { Spool } from '../../../core/spool/spool.js'
import { useFolder } from '../../helpers/databases.js'

// eslint-disable-next-line @typescript-eslint/require-await -- bodies are asynchronous
async function* body(...pieces: string[]): AsyncIterable<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece)
}

describe('the spool', () => {
  const folder = useFolder()
  const at = () => folder.file('spool')
  const name = (txid: number) => `${txid.toString(16).padStart(16, '0')}-${txid.toString(16).padStart(16, '0')}.ltx`

  it('takes files in under the names they will have in storage, and tells their hash', async () => {
    const spool = await Spool.open(at())
    const { file, sha256 } = await spool.write(26, body('one', 'two'))
    assert.equal(file.path, join(at(), name(26)))
    assert.equal(readFileSync(file.path, 'utf8'), 'onetwo')
    assert.equal(sha256, createHash('sha256').update('onetwo').digest('hex'))
    assert.equal(await hashFile(file.path), sha256)
    assert.equal(spool.bytes, 6)
    assert.deepEqual(spool.find(26), file)
  })

  it('finds them again, in order, and throws away what was half done', async () => {
    const first = await Spool.open(at())
    for (const txid of [3, 300, 20]) await first.write(txid, body('x'.repeat(txid)))
    writeFileSync(join(at(), '.tmp-0123456789ab'), 'half')
    writeFileSync(join(at(), 'notes.txt'), 'not ours')
    const second = await Spool.open(at())
    assert.deepEqual(second.files.map(({ maxTxid, size }) => [maxTxid, size]), [[3, 3], [20, 20], [300, 300]]) // prettier-ignore
    assert.deepEqual(readdirSync(at()).sort(), [name(3), name(20), name(300), 'notes.txt'].sort())
  })

  it('leaves nothing of a file that could not be written to its end', async () => {
    const spool = await Spool.open(at())
    const failing = (async function* () {
      yield* body('begun')
      throw new Error('the encoder failed')
    })()
    await assert.rejects(spool.write(1, failing), /the encoder failed/)
    assert.deepEqual(readdirSync(at()), [])
    assert.equal(spool.find(1), undefined)
    await spool.write(1, body('whole'))
  })

  it('never writes a transaction a second time: its bytes may be in storage', async () => {
    const spool = await Spool.open(at())
    await spool.write(1, body('first'))
    await assert.rejects(spool.write(1, body('second')), { code: 'E_INTERNAL' })
    assert.equal(readFileSync(join(at(), name(1)), 'utf8'), 'first')
  })

  it('sets files aside without losing them', async () => {
    const spool = await Spool.open(at())
    const { file } = await spool.write(1, body('kept'))
    const path = await spool.setAside(file)
    assert.equal(readFileSync(path, 'utf8'), 'kept')
    assert.ok(!existsSync(file.path))
    assert.deepEqual((await Spool.open(at())).files, [])
  })

  it('says what is wrong where it cannot be', async () => {
    mkdirSync(folder.path, { recursive: true })
    writeFileSync(at(), 'a file')
    await assert.rejects(Spool.open(at()), { code: 'E_STATE' })
  })

  it('reads ranges', async () => {
    const spool = await Spool.open(at())
    const { file } = await spool.write(1, body('0123456789'))
    const pieces: string[] = []
    for await (const piece of readFileBody(file.path, 2, 5)) pieces.push(Buffer.from(piece).toString())
    assert.equal(pieces.join(''), '234')
  })

  it('sweeps what was set aside long ago, and nothing else', async () => {
    const spool = await Spool.open(at())
    await spool.sweep(Date.now())
    const paths: string[] = []
    for (const txid of [1, 2]) paths.push(await spool.setAside((await spool.write(txid, body('x'))).file))
    await spool.write(3, body('stays'))
    await spool.sweep(Date.now() - 60_000)
    assert.deepEqual(paths.map(existsSync), [true, true])
    const day = 24 * 3_600_000
    const old = paths[0].replace(/\d+-/, `${Date.now() - 31 * day}-`)
    renameSync(paths[0], old)
    await spool.sweep(Date.now() - 30 * day)
    assert.deepEqual([old, paths[1]].map(existsSync), [false, true])
    assert.deepEqual((await Spool.open(at())).files.map(({ maxTxid }) => maxTxid), [3]) // prettier-ignore
  })
})
