import assert from 'node:assert/strict'
import { BUILT_IN } from '../../cli/built-in.js'
import type { Log, Plugin } from '../../core/index.js'
import { SILENT } from '../../core/log.js'
import { heartbeat } from '../../plugins/heartbeat/index.js'
import { logEvents } from '../../plugins/log-events/index.js'
import { metrics } from '../../plugins/metrics/index.js'
import { retentionGfs } from '../../plugins/retention-gfs/index.js'
import { shadowWal } from '../../plugins/shadow-wal/index.js'
import { storageFile } from '../../plugins/storage-file/index.js'
import { storageGcs } from '../../plugins/storage-gcs/index.js'
import { storageMemory } from '../../plugins/storage-memory/index.js'
import { storageS3 } from '../../plugins/storage-s3/index.js'
import { webhook } from '../../plugins/webhook/index.js'
import { type Arrival, codecCases, notifierCases, pluginCases } from '../../testing/index.js'
import { runCases } from '../helpers/conformance.js'
import gzipCodec, { NAME as GZIP } from '../helpers/gzip-codec.js'
import { Receiver } from '../helpers/receiver.js'

/** Every built-in plugin with options that work. Stores run the suite for stores besides, each in its own folder. */
const MAKERS: Readonly<Record<string, () => Plugin>> = {
  heartbeat: () => heartbeat({ url: 'http://127.0.0.1:9/' }),
  'log-events': logEvents,
  metrics: () => metrics({ port: 0 }),
  'retention-gfs': retentionGfs,
  'shadow-wal': shadowWal,
  'storage-file': storageFile,
  'storage-gcs': storageGcs,
  'storage-memory': storageMemory,
  'storage-s3': storageS3,
  webhook: () => webhook({ url: 'http://127.0.0.1:9/' }),
}

describe('the built-in plugins: conformance', () => {
  it('each of them is here', () => {
    const names = Object.keys(BUILT_IN.plugins).map((name) => name.replace('walrust:', ''))
    assert.deepEqual(Object.keys(MAKERS).sort(), names.sort())
  })

  for (const [name, make] of Object.entries(MAKERS)) describe(name, () => runCases(pluginCases({ make })))

  describe('webhook, as a notifier', () => {
    const open = async () => {
      const receiver = await Receiver.listen()
      const received = (): Arrival[] => receiver.received.map(({ event }) => event)
      return { plugin: webhook({ url: `${receiver.origin}/hook` }), received, close: () => receiver.close() }
    }
    const openUnreachable = () => ({
      plugin: webhook({ url: 'http://127.0.0.1:9/', retries: 1, drain: '500ms' }),
      received: () => [],
    })
    runCases(notifierCases({ open, openUnreachable }))
  })

  describe('log-events, as a notifier', () => {
    const open = () => {
      const lines: Arrival[] = []
      const take: Log['info'] = (event, fields) => void lines.push({ event, ...fields } as Arrival)
      const log = { ...SILENT, info: take, warn: take }
      const inner = logEvents()
      const plugin: Plugin = { ...inner, apply: (host) => inner.apply({ ...host, log }) }
      return { plugin, received: () => lines }
    }
    runCases(notifierCases({ open }))
  })
})

describe('a codec as a third party writes it: conformance', () =>
  runCases(codecCases({ make: gzipCodec, codec: GZIP, detectsDamage: true })))
