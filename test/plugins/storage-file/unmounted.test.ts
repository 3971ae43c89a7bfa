import assert from 'node:assert/strict'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { StoreError } from '../../../core/index.js'
import { FileStore } from '../../../plugins/storage-file/file-store.js'
import { useFolder } from '../../helpers/databases.js'

// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, these bytes are there
async function* body(): AsyncIterable<Uint8Array> {
  yield Buffer.from('bytes')
}

describe('storage-file: a folder whose disk is unmounted while it is in use', () => {
  const folder = useFolder()
  const place = () => folder.file('backups')

  for (const left of ['an empty folder', 'nothing'] as const) {
    it(`leaves ${left}: nothing is written there, and it goes on when the disk is back`, async () => {
      const store = new FileStore(place())
      await store.check()
      await store.put('a/1', body)
      renameSync(place(), folder.file('away'))
      if (left === 'an empty folder') mkdirSync(place())
      await assert.rejects(store.put('a/2', body), (error) => error instanceof StoreError && error.kind === 'transient')
      assert.ok(!existsSync(`${place()}/a`))
      rmSync(place(), { recursive: true, force: true })
      renameSync(folder.file('away'), place())
      await store.put('a/2', body)
      assert.ok(existsSync(`${place()}/a/2`))
    })
  }
})
