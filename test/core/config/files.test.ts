import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { loadConfig, type LoadOptions } from '../../../core/config/load.js'
import { redact } from '../../../core/redact.js'
import { bareBuiltIn, findingsOf } from '../../helpers/config.js'
import { useFolder } from '../../helpers/databases.js'

describe('configuration files', () => {
  const folder = useFolder()
  const write = (name: string, text: string) => {
    mkdirSync(dirname(folder.file(name)), { recursive: true })
    writeFileSync(folder.file(name), text)
  }
  const load = (options: Partial<LoadOptions> = {}) =>
    loadConfig({ builtIn: bareBuiltIn(), cwd: folder.path, env: {}, ...options })
  const syncOf = async (options?: Partial<LoadOptions>) =>
    (await load(options)).resolved.databases[0].settings.sync.interval

  const MODULES: Record<string, string> = {
    ts: "import { defineConfig, type WalrustConfig } from 'walrust'\nconst sync: WalrustConfig['sync'] = { interval: '3s' }\nexport default defineConfig({ databases: ['a.db'], sync })",
    mts: "import { defineConfig } from 'walrust'\nexport default defineConfig({ databases: ['a.db'], sync: { interval: '3s' } } as const)",
    js: "import { defineConfig } from 'walrust'\nexport default defineConfig({ databases: ['a.db'], sync: { interval: '3s' } })",
    mjs: "export default { databases: ['a.db'], sync: { interval: '3s' } }",
    cjs: "module.exports = { databases: ['a.db'], sync: { interval: '3s' } }",
    json: '{ "databases": ["a.db"], "sync": { "interval": "3s" } }',
    yaml: 'databases: [a.db]\nsync:\n  interval: 3s\n',
  }
  for (const [kind, text] of Object.entries(MODULES)) {
    it(`walrust.config.${kind}, in a project without node_modules/walrust`, async () => {
      write(`walrust.config.${kind}`, text)
      assert.equal(await syncOf(), 3000)
    })
  }

  for (const [name, text] of [
    ['.walrustrc', MODULES.yaml],
    ['.walrustrc.json', MODULES.json],
    ['package.json', `{ "name": "x", "walrust": ${MODULES.json} }`],
  ]) {
    it(name, async () => {
      write(name, text)
      assert.equal(await syncOf(), 3000)
    })
  }

  it('one that is named by --config or WALRUST_CONFIG, wherever it is', async () => {
    write('conf/prod.ts', MODULES.ts)
    assert.equal(await syncOf({ file: 'conf/prod.ts' }), 3000)
    assert.equal(await syncOf({ env: { WALRUST_CONFIG: folder.file('conf/prod.ts') } }), 3000)
  })

  it('a package.json without us is no configuration, and none is needed', async () => {
    write('package.json', '{ "name": "x" }')
    const { file, resolved } = await load({ databases: ['b.db'] })
    assert.equal(file, undefined)
    assert.deepEqual(
      resolved.databases.map(({ path }) => path),
      ['b.db'],
    )
  })

  it('imports of its own are followed, and know where they are', async () => {
    write('shared/where.ts', 'export const here: string = import.meta.url; export const dir = __dirname')
    write(
      'walrust.config.ts',
      "import { basename } from 'node:path'\nimport { here, dir } from './shared/where.js'\nexport default { databases: [{ path: 'a.db', name: here.endsWith('shared/where.ts') ? basename(dir) : 'no' }] }",
    )
    assert.equal((await load()).resolved.databases[0].name, 'shared')
  })

  it('what walrust exports is that of the running installation', async () => {
    write(
      'walrust.config.ts',
      "import { WalrustError, EXIT } from 'walrust'\nimport * as ltx from 'walrust/ltx'\nexport default { databases: [{ path: 'a.db', name: `${EXIT.storage}${typeof WalrustError}${typeof ltx.LtxDecoder}` }] }",
    )
    assert.match((await load()).resolved.databases[0].name ?? '', /^4function/)
  })

  it('paths start from the folder of the file', async () => {
    write('conf/walrust.config.yaml', 'databases: [{ path: data/a.db, stateDir: state }]\nstorage: file:backups')
    const { databases } = (await load({ file: 'conf/walrust.config.yaml' })).resolved
    assert.equal(databases[0].path, folder.file('conf/data/a.db'))
    assert.equal(databases[0].settings.stateDir, folder.file('conf/state'))
    assert.equal(databases[0].storages[0].url, `file:${folder.file('conf/backups')}`)
  })

  it('presets by path and by package, in every form', async () => {
    write('team/preset.ts', 'export default (o: { s: number }) => ({ sync: { interval: o.s } })')
    write('team/second.yaml', 'upload: { concurrency: 7 }')
    write('node_modules/walrust-preset-acme/package.json', '{ "name": "walrust-preset-acme", "main": "index.cjs" }')
    write(
      'node_modules/walrust-preset-acme/index.cjs',
      "exports.__esModule = true; exports.default = { lease: { ttl: '9s' } }",
    )
    write(
      'walrust.config.ts',
      "export default { databases: ['a.db'], presets: [['./team/preset.ts', { s: 5 }], './team/second.yaml', 'walrust-preset-acme'] }",
    )
    const { resolved } = await load()
    assert.deepEqual(
      [resolved.databases[0].settings.sync.interval, resolved.upload.concurrency, resolved.lease.ttl],
      [5000, 7, 9000],
    )
  })

  it('a preset that is not installed is a finding', async () => {
    write('walrust.config.json', '{ "presets": ["walrust-preset-nobody"] }')
    const [finding] = await findingsOf(load())
    assert.match(finding.message, /walrust-preset-nobody cannot be used/)
  })

  describe('variables', () => {
    it('expand in YAML and JSON, with a default, escaped, and missing', async () => {
      write('walrust.config.yaml', 'databases: ["${DIR}/a.db"]\nsync: { interval: "${GAP:-4s}" }\nstateDir: "$${X}"')
      const { resolved } = await load({ env: { DIR: '/data' } })
      const [{ path, settings }] = resolved.databases
      assert.deepEqual([path, settings.sync.interval, settings.stateDir], ['/data/a.db', 4000, '${X}'])
      const [finding] = await findingsOf(load())
      assert.deepEqual([finding.path, finding.message], ['databases[0]', 'needs the variable DIR, which is not set'])
    })
  })

  describe('secrets', () => {
    const config = {
      databases: ['a.db'],
      storage: { url: 's3://b/p', accessKeyId: { env: 'KEY' }, secretAccessKey: { file: 'secret.txt' } },
    }

    it('come from variables and from files, and are masked from then on', async () => {
      write('secret.txt', 'hunter2-of-the-file\n')
      write('walrust.config.json', JSON.stringify(config))
      const { storage } = await load({ env: { KEY: 'key-of-the-variable' } })
      assert.deepEqual(storage.value[0].options, {
        accessKeyId: 'key-of-the-variable',
        secretAccessKey: 'hunter2-of-the-file',
      })
      assert.equal(
        redact('a key-of-the-variable and "hunter2-of-the-file" s3://user:pass@host/x'),
        'a ******** and "********" s3://********@host/x',
      )
    })

    it('that are not there are findings, all of them', async () => {
      write('walrust.config.json', JSON.stringify(config))
      const findings = await findingsOf(load())
      assert.deepEqual(
        findings.map(({ path }) => path),
        ['storage.accessKeyId', 'storage.secretAccessKey'],
      )
    })
  })

  describe('plugins of others', () => {
    const PLUGIN = `
      import { WalrustError } from 'walrust'
      export const schema = { type: 'object', required: ['channel'], additionalProperties: false, properties: { channel: { type: 'string' } } }
      export default (options) => ({ name: 'slack', walrust: '>=0.0.1', options, apply() { if (!WalrustError) throw new Error() } })`

    it('are found by package from the folder of the file, and get their options', async () => {
      write('node_modules/walrust/package.json', '{ "name": "walrust", "type": "module", "exports": "./index.js" }')
      write('node_modules/walrust/index.js', 'export class WalrustError extends Error {}')
      write(
        'node_modules/walrust-plugin-slack/package.json',
        '{ "type": "module", "exports": { "import": "./index.js" } }',
      )
      write('node_modules/walrust-plugin-slack/index.js', PLUGIN)
      write(
        'walrust.config.json',
        '{ "databases": ["a.db"], "plugins": [["walrust-plugin-slack", { "channel": "#ops" }]] }',
      )
      const { plugins } = await load()
      assert.deepEqual(
        plugins.map(({ name, origin, options }) => [name, origin, options]),
        [['slack', 'walrust.config.json', { channel: '#ops' }]],
      )
    })

    it('by path, in TypeScript; options are held against the schema of the plugin', async () => {
      write('mine.ts', PLUGIN.replace('(options)', '(options: unknown)'))
      write('walrust.config.json', '{ "plugins": [["./mine.ts", { "chanel": "#ops" }]] }')
      const findings = await findingsOf(load())
      assert.deepEqual(
        findings.map(({ path, suggestion }) => [path, suggestion]),
        [
          ['plugins[0][1].channel', undefined],
          ['plugins[0][1].chanel', 'channel'],
        ],
      )
    })

    it('one listed twice is replaced in its place, and that is known', async () => {
      write('a.mjs', "export default (o) => ({ name: 'a', o, apply() {} })")
      write('b.mjs', "export default () => ({ name: 'b', apply() {} })")
      write(
        'walrust.config.mjs',
        "export default { presets: [{ plugins: ['./a.mjs', './b.mjs'] }], plugins: [['./a.mjs', { x: 1 }]] }",
      )
      const { plugins } = await load()
      assert.deepEqual(
        plugins.map(({ name, options, replaced }) => [name, options, replaced]),
        [
          ['a', { x: 1 }, 'preset in walrust.config.mjs'],
          ['b', undefined, undefined],
        ],
      )
    })

    it('null takes away those of presets', async () => {
      write('a.mjs', "export default () => ({ name: 'a', apply() {} })")
      write('walrust.config.mjs', "export default { presets: [{ plugins: ['./a.mjs'] }], plugins: null }")
      assert.deepEqual((await load()).plugins, [])
    })

    it('made in the file are taken as they are', async () => {
      write('walrust.config.ts', "export default { plugins: [{ name: 'own', apply() { return } }] }")
      const [{ name }] = (await load()).plugins
      assert.equal(name, 'own')
    })

    it('that are broken are named: all of them', async () => {
      write('throws.mjs', "export default () => { throw new Error('no luck') }")
      write('nothing.mjs', 'export const x = 1')
      write('old.mjs', "export default { name: 'old', walrust: '>=99', apply() {} }")
      write('needy.mjs', "export default { name: 'needy', needs: ['friend'], apply() {} }")
      write(
        'walrust.config.json',
        '{ "plugins": ["./throws.mjs", "./nothing.mjs", "./old.mjs", "./needy.mjs", "not-installed", "walrust:webhok"] }',
      )
      const messages = (await findingsOf(load())).map(({ message }) => message).join('\n')
      for (const expected of [
        /throws\.mjs cannot be used: no luck/,
        /nothing\.mjs is no plugin/,
        /old works with walrust >=99/,
        /needy needs the plugin friend/,
        /not-installed cannot be used.*npm install not-installed/,
        /walrust:webhok is not known/,
      ]) {
        assert.match(messages, expected)
      }
    })
  })
})
