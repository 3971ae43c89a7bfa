import assert from 'node:assert/strict'
import { join } from 'node:path'
import { checksum, createDatabase, useFolder } from '../helpers/databases.js'
import { HelperProcess, WalrustProcess } from '../helpers/processes.js'
import { restoreFrom } from '../helpers/storage.js'
import { SmallDisk } from '../kills/small-disk.js'

describe('a small disk for the state', function () {
  this.timeout(120_000)
  const folder = useFolder()
  it('is never too full of what is in storage already for what is not', async function () {
    const disk = SmallDisk.mount(folder.file('state'), 4)
    if (!disk) this.skip()
    try {
      await fillUp(disk)
    } finally {
      disk.unmount()
    }
  })

  async function fillUp(disk: SmallDisk): Promise<void> {
    const db = folder.file('app.db')
    const backups = folder.file('backups')
    createDatabase(db, { bytes: 20_000 })
    const args = ['-b', `file://${backups}`, '--state-dir', join(disk.path, 'walrust'), '--sync-interval', '20ms']
    const shipper = new WalrustProcess(['watch', db, ...args])
    await shipper.line('shipped')
    // Several times as much as there is room for, within the bounds of the cache.
    const writer = new HelperProcess('writer', { path: db, rate: 200, seconds: 6, bytes: 8000, updateEvery: 1 })
    await writer.report()
    assert.equal(await shipper.kill('SIGTERM'), 0, shipper.tail())
    await restoreFrom(backups, 'app', folder.file('restored.db'))
    assert.equal(checksum(folder.file('restored.db')), checksum(db))
    const full = shipper.lines.some(({ error }) => /no space left/.test(String(error)))
    assert.ok(full, 'the disk was never full: this has tested nothing')
  }
})
