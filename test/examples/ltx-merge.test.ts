import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, truncateSync, cpSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode, repositoryPath } from '../helpers/ltx.js'
import { mergeAsPackage } from '../helpers/ltx-package.js'

const GO = 'test/fixtures/ltx/go/4096/tracked'
const named = (txid: number) => txid.toString(16).padStart(16, '0')
const single = (txid: number) => repositoryPath(`${GO}/${named(txid)}-${named(txid)}.ltx`)

describe('a package that imports only walrust/ltx', () => {
  let folder: string
  before(() => (folder = mkdtempSync(join(tmpdir(), 'walrust-test-'))))
  after(() => rmSync(folder, { recursive: true }))

  it('merges files of the reference tool into what that makes of them', () => {
    const target = join(folder, 'merged.ltx')
    const { status, output } = mergeAsPackage(folder, target, [1, 2, 3, 4, 5].map(single))
    assert.equal(status, 0, output)
    const ours = decode(new Uint8Array(readFileSync(target)))
    const theirs = decode(new Uint8Array(readFileSync(repositoryPath(`${GO}/${named(1)}-${named(5)}.ltx`))))
    assert.deepEqual(ours.pages, theirs.pages)
    assert.deepEqual(ours.trailer.post, theirs.trailer.post)
    assert.match(output, /transactions 1 to 5/)
    assert.ok(!/better-sqlite3|tapable|cli/.test(output), output)
  })

  it('loads neither SQLite nor anything else of walrust', () => {
    const { status, output } = mergeAsPackage(folder, join(folder, 'again.ltx'), [single(1)], 'list')
    assert.equal(status, 0, output)
    const loaded = output.split('\n').filter((line) => line.startsWith('loads '))
    assert.ok(loaded.length > 5, output)
    const others = loaded.filter((line) => !/\/dist\/core\/(ltx|kernel|buffers)|merge\.js$/.test(line))
    assert.deepEqual(others, [])
  })

  it('says what is wrong with a file that is not whole', () => {
    const cut = join(folder, 'cut.ltx')
    cpSync(single(2), cut)
    truncateSync(cut, readFileSync(cut).length - 20)
    const { status, output } = mergeAsPackage(folder, join(folder, 'never.ltx'), [single(1), cut])
    assert.equal(status, 1)
    assert.match(output, /^LTX_/m)
  })
})
