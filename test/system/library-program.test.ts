import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, readlinkSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Counter, Registry } from 'prom-client'
import { createWalrust, type LogLevel, type Walrust, type WalrustConfig } from '../../core/index.js'
import { createDatabase, sql, useFolder } from '../helpers/databases.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** What a program must not carry because of us: SDKs, parsers, compilers, and above all another SQLite. */
const FOREIGN =
  /node_modules\/(@aws-sdk|@smithy|@google-cloud|ajv|cosmiconfig|prom-client|better-sqlite3|esbuild|commander|cockatiel|lz4-wasm|yaml|smol-toml|semver|tinyglobby|cli-progress)\b/

describe('what walrust does in the process of a program', function () {
  this.timeout(90_000)
  let walrust: Walrust | undefined
  afterEach(async () => {
    await walrust?.stop().catch(() => undefined)
    walrust = undefined
  })
  const folder = useFolder()
  const config = (): WalrustConfig => ({
    databases: [folder.file('app.db')],
    storage: `file://${folder.file('backups')}`,
    sync: { interval: '1h' },
  })

  /** Runs a program of its own and gives what it reports. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- it says what the program reports
  function run<T>(code: string, args: readonly string[] = []): T {
    const report = `const report = (value) => writeFileSync(${JSON.stringify(folder.file('report'))}, JSON.stringify(value))`
    const text = `import { writeFileSync } from 'node:fs'; ${report}; ${code}`
    const { status, stdout, stderr } = spawnSync(process.execPath, [...args, '--input-type=module', '-e', text], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
    return JSON.parse(readFileSync(folder.file('report'), 'utf8')) as T
  }

  it('loads no SDK, no compiler and no SQLite, whatever it is asked for; says nothing, listens to no signal', () => {
    createDatabase(folder.file('app.db'), { bytes: 9000 })
    const log = folder.file('modules')
    const hook = `import { appendFileSync } from 'node:fs'
      export async function resolve(specifier, context, next) {
        const found = await next(specifier, context)
        appendFileSync(${JSON.stringify(log)}, found.url + '\\n')
        return found
      }`
    const data = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`
    const register = `import { register } from 'node:module'; register(${JSON.stringify(data(hook))})`
    const { before, after, required } = run<{ before: number[]; after: number[]; required: string[] }>(
      `import { createRequire } from 'node:module'
       const listeners = () =>
         ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit', 'beforeExit', 'uncaughtException', 'unhandledRejection']
           .map((name) => process.listenerCount(name))
       const before = listeners()
       const { createWalrust } = await import('walrust')
       const walrust = createWalrust(${JSON.stringify(config())})
       await walrust.start()
       await walrust.sync('app')
       await walrust.snapshot('app')
       await walrust.restore('app', { output: ${JSON.stringify(folder.file('back.db'))} })
       await walrust.verify('app')
       await walrust.list()
       report({ before, after: listeners(), required: Object.keys(createRequire(import.meta.url).cache) })
       await walrust.stop()`,
      ['--import', data(register)],
    )
    const loaded = [...readFileSync(log, 'utf8').trim().split('\n'), ...required]
    assert.ok(loaded.some((url) => url.endsWith('core/library/walrust.js')))
    assert.deepEqual(
      loaded.filter((url) => FOREIGN.test(url)),
      [],
    )
    assert.deepEqual(after, before)
  })

  it('leaves the work to the engine: a large snapshot and heavy writes take the program next to no time', () => {
    createDatabase(folder.file('app.db'), { bytes: 60_000_000 })
    const stat = `const spent = (pid) => { const f = readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ')[1].split(' ')
      return Number(f[11]) + Number(f[12]) }`
    const { mine, engine } = run<{ mine: number; engine: number }>(
      `import { readFileSync } from 'node:fs'
       import { spawn } from 'node:child_process'
       import { once } from 'node:events'
       import { createWalrust } from 'walrust'
       ${stat}
       const walrust = createWalrust(${JSON.stringify({ ...config(), sync: { interval: '20ms' } })})
       const before = spent(process.pid)
       await walrust.start()
       const writer = spawn(process.execPath, ['-e', ${JSON.stringify(WRITER)}, ${JSON.stringify(folder.file('app.db'))}])
       await Promise.all([walrust.snapshot('app'), walrust.snapshot('app'), once(writer, 'exit')])
       await walrust.sync('app')
       const engine = spent(walrust.enginePid)
       report({ mine: spent(process.pid) - before, engine })
       await walrust.stop()`,
    )
    // Clock ticks. Snapshots of 60 MB are not made for nothing; if they were made here it would be the other way round.
    assert.ok(engine > 20, String(engine))
    assert.ok(mine < engine / 3, `${mine} here, ${engine} in the engine`)
  })

  it('can be required where Node allows it', function () {
    const features = process.features as { require_module?: boolean }
    if (features.require_module !== true) this.skip()
    const code = `const { createWalrust, WalrustError } = require('walrust'); require('walrust/ltx')
      try { createWalrust({ plugins: [() => 1] }) } catch (error) { console.log(error instanceof WalrustError, error.code) }`
    const { stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', '-e', code], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    assert.deepEqual({ stdout, stderr }, { stdout: 'true E_CONFIG\n', stderr: '' })
  })

  it('shows the metrics of the engine in a registry of the program, also after a crash, and takes them out again', async () => {
    createDatabase(folder.file('app.db'), { bytes: 9000 })
    const registry = new Registry()
    const own = new Counter({ name: 'own_total', help: 'Of the program.', registers: [registry] })
    own.inc()
    walrust = createWalrust(config(), { registry })
    await walrust.start()
    await walrust.sync('app')
    const txid = async () => {
      const text = await registry.metrics()
      assert.match(text, /^own_total 1$/m)
      return Number(/^walrust_current_txid\{database="app"\} (\d+)$/m.exec(text)?.[1])
    }
    const first = await txid()
    assert.ok(first >= 1)
    sql(folder.file('app.db'), "INSERT INTO rows(body) VALUES ('more')")
    await walrust.sync('app')
    assert.equal(await txid(), first + 1)
    assert.match(await registry.metrics(), /^walrust_sync_latency_seconds_count\{database="app"\} \d/m)
    process.kill(walrust.enginePid ?? 0, 'SIGKILL')
    await walrust.sync('app')
    assert.equal(await txid(), first + 1)
    assert.deepEqual(listening(walrust.enginePid ?? 0), [])
    await walrust.stop()
    assert.doesNotMatch(await registry.metrics(), /walrust_/)
    await walrust.start()
    assert.match(await registry.metrics(), /walrust_current_txid/)
  })

  it('tells a logger what it does, and opens a port only if it is asked to', async () => {
    createDatabase(folder.file('app.db'))
    const said: Array<[LogLevel, string, object | undefined]> = []
    const at = (level: LogLevel) => (message: string, fields?: object) => said.push([level, message, fields])
    const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
    walrust = createWalrust({ ...config(), metrics: { port: 0 } }, { log })
    await walrust.start()
    assert.ok(said.some(([level, message]) => level === 'info' && message === 'watching'))
    assert.equal(listening(walrust.enginePid ?? 0).length, 1)
  })
})

/** Ports that a process listens on. */
function listening(pid: number): string[] {
  const inodes = new Set<string>()
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      inodes.add(/socket:\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? '')
    } catch {
      // Closed meanwhile.
    }
  }
  const lines = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1),
  )
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && inodes.has(fields[9]))
    .map((fields) => fields[1])
}

const WRITER = `const D = require(${JSON.stringify(fileURLToPath(import.meta.resolve('better-sqlite3')))})
  const db = new D(process.argv[1], { timeout: 10000 })
  const insert = db.prepare('INSERT INTO rows(body) VALUES (randomblob(2000))')
  for (let i = 0; i < 3000; i++) insert.run()`
