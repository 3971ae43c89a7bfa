import assert from 'node:assert/strict'
import { WalrustError } from '../../../core/errors.js'
import { Host } from '../../../core/host.js'
import { checksumWords, pageChecksum } from '../../../core/kernel/kernel.js'
import { SILENT } from '../../../core/log.js'
import { PageChecksums } from '../../../core/pages/page-checksums.js'
import { PageListBuilder } from '../../../core/pages/page-list.js'
import { FileMaker } from '../../../core/ship/file-maker.js'
import { LocalState } from '../../../core/ship/local-state.js'
import { useFolder } from '../../helpers/databases.js'

const SIZE = 512

/** One page full of a byte, as what has changed. */
function onePage(fill: number) {
  const bytes = Buffer.alloc(SIZE, fill)
  pageChecksum(1, bytes)
  const builder = new PageListBuilder()
  builder.add(1, checksumWords[0], checksumWords[1])
  return builder.build(SIZE, 1, (_index, _page, into) => {
    into.set(bytes)
  })
}

describe('making the next file', () => {
  const folder = useFolder()
  const end = { at: { generation: 1, frame: 2 }, proof: undefined, observed: 5000 }
  let local: LocalState
  let maker: FileMaker

  beforeEach(async () => {
    local = await LocalState.load(folder.file('state'), (bytes) => Promise.resolve(bytes))
    local.table = new PageChecksums(SIZE)
    await local.writePosition({
      ...{ txid: 1, sha256: 'a'.repeat(64), pre: 0n, checksum: local.table.checksum, commit: 0, pageSize: SIZE },
      ...{ timestamp: 1000, log: { generation: 1, frame: 1 }, proof: undefined, codecs: [], prev: undefined },
      gapStart: undefined,
    })
    const info = { name: 'app', path: folder.file('app.db'), stateDir: folder.file('state') }
    maker = new FileMaker(info, local, new Host(SILENT).hooks, 'portable', { unwrap: (body) => Promise.resolve(body) })
  })
  afterEach(() => local.close())

  it('takes nothing for done when the position cannot be written, and makes the file anew', async () => {
    const { position, table } = local
    const before = table?.checksum
    const real = local.positionFile.write.bind(local.positionFile)
    local.positionFile.write = () => Promise.reject(new WalrustError('E_DISK_FULL', 'no space'))
    await assert.rejects(maker.make(onePage(1), end), /no space/)
    assert.equal(local.position, position)
    assert.equal(table?.checksum, before)
    assert.deepEqual(local.spool.files, [])
    local.positionFile.write = real
    const made = await maker.make(onePage(2), end)
    assert.equal(made?.file.maxTxid, 2)
    assert.equal(made.facts.pre, before)
    assert.equal(made.facts.post, table?.checksum)
    assert.equal(local.position?.txid, 2)
  })
})
