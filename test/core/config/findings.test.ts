import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { loadConfig } from '../../../core/config/load.js'
import { WalrustError } from '../../../core/errors.js'
import { useFolder } from '../../helpers/databases.js'
import { bareBuiltIn, findingsOf, load } from '../../helpers/config.js'

describe('mistakes in a configuration', () => {
  const folder = useFolder()
  const inFile = (name: string, text: string, env = {}) => {
    writeFileSync(folder.file(name), text)
    return loadConfig({ builtIn: bareBuiltIn(), cwd: folder.path, env })
  }

  it('five different ones are five findings, with file, path and what was expected', async () => {
    const findings = await findingsOf(
      inFile(
        'walrust.config.yaml',
        [
          'sync: { intervall: 1s }',
          'databases:',
          '  - { path: a.db, snapshotInterval: 1 hour }',
          'upload: { concurrency: 0 }',
          'metrics: true',
          'log: { level: loud }',
        ].join('\n'),
      ),
    )
    const said = findings.map(({ source, path, message, suggestion }) => [source, path, message, suggestion])
    assert.deepEqual(said.sort(), [
      [
        'walrust.config.yaml',
        'databases[0].snapshotInterval',
        'must be a time such as 500ms, 5s, 1h or 7d, or off, not "1 hour"',
        undefined,
      ],
      ['walrust.config.yaml', 'log.level', 'must be one of debug, info, warn, error, not "loud"', undefined],
      ['walrust.config.yaml', 'metrics', 'must be an object or false, not true', undefined],
      ['walrust.config.yaml', 'sync.intervall', 'is not known', 'interval'],
      ['walrust.config.yaml', 'upload.concurrency', 'must be a whole number from 1, not 0', undefined],
    ])
  })

  it('are an error for which the process ends with 2, and all are in its message', async () => {
    const error = await load({ sync: { interval: 'x' as never }, ltx: { checksums: 'y' as never } }).catch(
      (e: unknown) => e,
    )
    assert.ok(error instanceof WalrustError)
    assert.equal(error.exitCode, 2)
    assert.match(error.message, /2 mistakes[^]*sync\.interval[^]*ltx\.checksums must be one of portable, tracked/)
  })

  it('a key in the wrong place is told where it belongs', async () => {
    const [finding] = await findingsOf(load({ snapshotInterval: '1h' } as never))
    assert.equal(finding.suggestion, 'snapshot.interval')
  })

  it('a key spelt in another fashion is recognised', async () => {
    const [first, second] = await findingsOf(load({ shadow_wal: true, shutdown: '1s' } as never))
    assert.equal(first.suggestion, 'shadowWal')
    assert.equal(second.suggestion, undefined)
  })

  it('those of variables are found together with those of files', async () => {
    const env = { WALRUST_SPOOL_MAX_SIZE: 'big', WALRUST_SYNC_INTERVALL: '1s' }
    const findings = await findingsOf(inFile('walrust.config.json', '{"storge": "file:/x"}', env))
    assert.deepEqual(
      findings.map(({ source, path, suggestion }) => [source, path, suggestion]),
      [
        ['WALRUST_SPOOL_MAX_SIZE', '', undefined],
        ['WALRUST_SYNC_INTERVALL', '', 'WALRUST_SYNC_INTERVAL'],
        ['walrust.config.json', 'storge', 'storage'],
      ],
    )
  })

  it('a variable of ours that looks like no key is left alone: Kubernetes sets such ones', async () => {
    await load(
      { databases: ['a.db'] },
      { env: { WALRUST_PORT: 'tcp://10.0.0.1:80', WALRUST_SERVICE_HOST: '10.0.0.1' } },
    )
  })

  it('those of a preset name the preset', async () => {
    const presets = { bad: { sync: { interval: 'soon' } } }
    const [finding] = await findingsOf(load({ presets: ['walrust:bad'] }, { presets }))
    assert.deepEqual([finding.source, finding.path], ['preset walrust:bad', 'sync.interval'])
  })

  it('a preset that does not exist is a finding with what was meant', async () => {
    const [finding] = await findingsOf(load({ presets: ['walrust:locl'] }, { presets: { local: {} } }))
    assert.deepEqual([finding.path, finding.suggestion], ['presets[0]', 'walrust:local'])
  })

  it('presets that list each other are a finding, not a hang', async () => {
    const presets = { a: { presets: ['walrust:b'] }, b: { presets: ['walrust:a'] } }
    const [finding] = await findingsOf(load({ presets: ['walrust:a'] }, { presets }))
    assert.match(finding.message, /list each other/)
  })

  it('options for a preset that takes none are a finding', async () => {
    const [finding] = await findingsOf(load({ presets: [['walrust:a', { x: 1 }]] }, { presets: { a: {} } }))
    assert.match(finding.message, /takes no options/)
  })

  it('settings of a storage without its URL are a finding', async () => {
    const [finding] = await findingsOf(load({ storage: { endpoint: 'https://x' } }))
    assert.equal(finding.path, 'storage.url')
  })

  it('a file that cannot be parsed is named, with the place', async () => {
    const [yaml] = await findingsOf(inFile('walrust.config.yaml', 'a: [1'))
    assert.match(yaml.message, /walrust\.config\.yaml/)
    const [ts] = await findingsOf(inFile('walrust.config.ts', '\nexport default { sync: {, } }'))
    assert.match(ts.message, /walrust\.config\.ts:2:/)
  })

  it('a file without a configuration in it is named', async () => {
    const [finding] = await findingsOf(inFile('walrust.config.mjs', 'export default 5'))
    assert.match(finding.message, /default export/)
  })

  it('a file that throws is named, with what it threw', async () => {
    const [finding] = await findingsOf(inFile('walrust.config.mjs', 'throw new Error("no such luck")'))
    assert.match(finding.message, /no such luck/)
  })
})
