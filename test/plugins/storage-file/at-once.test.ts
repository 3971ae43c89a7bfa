import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { bodyOf } from '../../../core/index.js'
import { bytesOf } from '../../../testing/store/subject.js'
import { FileStore } from '../../../plugins/storage-file/file-store.js'
import { isLocalDisk } from '../../../plugins/storage-file/local-disk.js'
import { useFolder } from '../../helpers/databases.js'

const LARGE = 200_000

describe('storage-file: what is read at once', () => {
  const folder = useFolder()

  for (const local of [true, false]) {
    const open = () => new FileStore(folder.file('backups'), () => Promise.resolve(local))

    it(`is the same as what is read piece by piece (${local ? 'at once' : 'by another thread'})`, async () => {
      const store = open()
      const bytes = Buffer.alloc(LARGE, 'some bytes that are not alike everywhere ')
      await store.put('a/large', () => bodyOf(bytes))
      await store.put('a/empty', () => bodyOf(new Uint8Array(0)))
      const read = async (key: string, range?: { start: number; end?: number }) =>
        Buffer.from(await bytesOf((await store.get(key, { range }))!.body))
      for (const [start, end] of [
        [0, LARGE],
        [0, 65_536],
        [1, 65_538],
        [LARGE - 10, LARGE],
        [LARGE - 10, LARGE + 10],
        [LARGE, LARGE + 10],
        [10, 10],
      ]) {
        assert.deepEqual(await read('a/large', { start, end }), bytes.subarray(start, end), `${start} to ${end}`)
      }
      assert.equal((await read('a/empty')).length, 0)
    })

    it(`is no link, wherever that leads (${local ? 'at once' : 'by another thread'})`, async () => {
      const store = open()
      await store.put('a/1', () => bodyOf(Buffer.from('x')))
      symlinkSync('/etc/hostname', folder.file('backups/a/2'))
      assert.equal(await store.get('a/2'), undefined)
      const keys: string[] = []
      for await (const { key } of store.list({ prefix: 'a/' })) keys.push(key)
      assert.deepEqual(keys, ['a/1'])
    })
  }

  it('lies on a disk; what is no file system of a disk counts as one that may take long', async function () {
    if (process.platform !== 'linux') this.skip()
    assert.equal(await isLocalDisk('/proc'), false)
    assert.equal(await isLocalDisk(folder.file('nowhere')), false)
  })

  it('a listing of many lets others have their turn', async () => {
    const store = new FileStore(folder.file('backups'), () => Promise.resolve(true))
    for (let i = 0; i < 200; i++) await store.put(`a/${i}`, () => bodyOf(Buffer.from('x')))
    let turns = 0
    const next = () => {
      turns++
      immediate = setImmediate(next)
    }
    let immediate = setImmediate(next)
    let before: number | undefined
    for await (const { key } of store.list({ prefix: 'a/' })) {
      assert.ok(key)
      before ??= turns
    }
    clearImmediate(immediate)
    assert.ok(turns - before! >= 2, `${turns - before!} turns`)
  })
})
