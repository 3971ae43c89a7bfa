import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { Chain } from '../helpers/chain.js'
import { useFolder } from '../helpers/databases.js'
import { WalrustProcess } from '../helpers/processes.js'
import { parsePrometheus } from '../helpers/prometheus.js'

describe('replicate --metrics-port', function () {
  this.timeout(60_000)
  let replica: WalrustProcess | undefined
  afterEach(() => replica?.kill())
  const folder = useFolder()

  it('says in /metrics what it says in its log: transaction, lag, and whether it gets on', async () => {
    const chain = new Chain(folder.file('backups'), folder.file('scratch'))
    chain.commit('CREATE TABLE t(v)')
    const source = ['app', '-b', `file://${folder.file('backups')}`, '--local', folder.file('copy.db')]
    const process = new WalrustProcess(['replicate', ...source, '--interval', '50ms', '--metrics-port', '0'])
    replica = process
    const origin = String((await process.line('metrics')).url)
    const figure = async (name: string) => {
      const family = parsePrometheus(await (await fetch(new URL('/metrics', origin))).text()).get(name)
      const sample = family?.samples.at(0)
      if (sample) assert.deepEqual(sample.labels, { database: 'app', file: folder.file('copy.db') })
      return sample?.value
    }
    const health = async () => await fetch(new URL('/health', origin))
    assert.equal(await figure('walrust_replica_txid'), 1)
    chain.commit('INSERT INTO t VALUES (1)')
    const applied = await process.line(({ message, txid }) => message === 'applied' && txid === 2)
    assert.equal(await figure('walrust_replica_txid'), 2)
    assert.equal(await figure('walrust_replica_lag_seconds'), Number(applied.lag) / 1000)
    assert.equal(await figure('walrust_replica_applied_files'), 1)
    while (((await figure('walrust_replica_unchecked_seconds')) ?? Infinity) > 50);
    assert.equal(await figure('walrust_replica_failing'), 0)
    assert.equal((await health()).status, 200)
    const { status, replicas } = (await (await health()).json()) as { status: string; replicas: [{ txid: number }] }
    assert.deepEqual([status, replicas[0].txid], ['healthy', 2])
    chain.close()
    // A storage that has lost everything.
    renameSync(folder.file('backups'), folder.file('away'))
    while ((await figure('walrust_replica_failing')) === 0);
    assert.equal(((await (await health()).json()) as { status: string }).status, 'degraded')
  })
})
