/** Secrets are put wherever a user can put them; then everything that leaves walrust is searched for them. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { type PackedError, packError } from '../../core/error-transfer.js'
import { WalrustError } from '../../core/errors.js'
import { createWalrust } from '../../core/index.js'
import { keepSecret } from '../../core/redact.js'
import { createDatabase, useFolder } from '../helpers/databases.js'
import { runCli, WalrustProcess } from '../helpers/processes.js'
import { Receiver } from '../helpers/receiver.js'
import { S3Server } from '../helpers/s3-server/index.js'
import { close, listen, originOf } from '../helpers/loopback.js'

/** One secret for each place. */
const SECRETS = {
  storageKeyInFile: 'StorageKey/from+a+file=0123456789',
  sessionTokenInConfig: 'Session.token.that.stands.in.the.config',
  environmentKey: 'EnvironmentKey/0123456789+abcdef',
  webhookSecret: 'webhook-secret-from-a-variable',
  webhookPath: 'T0KEN00/B0KEN00/webhookPathToken',
  webhookPassword: 'webhook-password-in-the-url',
  webhookBearer: 'bearer-of-the-webhook-0123456789',
  webhookApiKey: 'api-key-of-the-webhook-from-a-file',
  heartbeatPath: 'e4b1c2d3-heartbeat-path-token',
} as const

/** How a secret may be written. */
const FORMS = Object.values(SECRETS).flatMap((secret) => [
  secret,
  encodeURIComponent(secret),
  JSON.stringify(secret).slice(1, -1),
  Buffer.from(secret).toString('base64'),
])
FORMS.push(Buffer.from(`hook:${SECRETS.webhookPassword}`).toString('base64'))

function assertFree(text: string, where: string): void {
  for (const form of FORMS) {
    const at = text.indexOf(form)
    assert.ok(at < 0, `${where} says ${form}: …${text.slice(Math.max(0, at - 300), at + 300)}…`)
  }
}

describe('secrets wherever they are put', function () {
  this.timeout(120_000)
  const folder = useFolder()
  let storage: S3Server
  let receiver: Receiver
  let gateway: Server
  /** What the gateway answers with: one that may pass, or one that does not. */
  let gatewayStatus: number
  let heard: string[]

  beforeEach(async () => {
    const secretAccessKey = SECRETS.storageKeyInFile
    storage = await new S3Server({ credentials: { accessKeyId: 'AKIATEST', secretAccessKey } }).start()
    receiver = await Receiver.listen()
    heard = []
    // One that repeats in its errors everything that it was sent, and everything else, too.
    gateway = createServer((request, response) => {
      heard.push(JSON.stringify(request.headers))
      request.resume()
      const { webhookPath, heartbeatPath, ...others } = SECRETS
      const paths = [`/services/${webhookPath}`, `/ping/${heartbeatPath}`]
      const all = [...Object.values(others), ...paths, JSON.stringify(request.headers)]
      const repeated = all.join(' | ').replaceAll('<', '')
      const code = gatewayStatus === 403 ? 'AccessDenied' : 'InternalError'
      response.writeHead(gatewayStatus, { 'content-type': 'application/xml' })
      response.end(`<Error><Code>${code}</Code><Message>no: ${repeated.replaceAll('&', '')}</Message></Error>`)
    })
    await listen(gateway)
    writeFileSync(folder.file('key.txt'), `${SECRETS.storageKeyInFile}\n`, { mode: 0o600 })
    writeFileSync(folder.file('api-key.txt'), SECRETS.webhookApiKey, { mode: 0o600 })
    createDatabase(folder.file('app.db'), { bytes: 20_000 })
  })
  afterEach(async () => {
    await close(gateway)
    await receiver.close()
    await storage.stop()
  })

  const environment = () => ({
    MY_WEBHOOK_KEY: SECRETS.webhookSecret,
    AWS_SECRET_ACCESS_KEY: SECRETS.environmentKey,
    AWS_ACCESS_KEY_ID: 'AKIATEST',
    AWS_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
  })

  function config(endpoint: string): object {
    const { port } = new URL(receiver.origin)
    return {
      databases: ['app.db'],
      storage: {
        ...{ url: 's3://bucket/backups', endpoint, accessKeyId: 'AKIATEST' },
        secretAccessKey: { file: 'key.txt' },
        sessionToken: SECRETS.sessionTokenInConfig,
      },
      resilience: { maxRetries: 1, baseDelay: '10ms', maxDelay: '100ms' },
      metrics: { port: 0 },
      plugins: [
        [
          'walrust:webhook',
          {
            url: `http://hook:${SECRETS.webhookPassword}@127.0.0.1:${port}/services/${SECRETS.webhookPath}`,
            secret: { env: 'MY_WEBHOOK_KEY' },
            headers: { 'x-authorization': `Bearer ${SECRETS.webhookBearer}`, 'x-api-key': { file: 'api-key.txt' } },
            retries: 1,
          },
        ],
        ['walrust:heartbeat', { url: `http://127.0.0.1:1/ping/${SECRETS.heartbeatPath}` }],
        'walrust:log-events',
      ],
    }
  }

  function configure(endpoint: string): string {
    writeFileSync(folder.file('walrust.config.json'), JSON.stringify(config(endpoint)))
    return folder.file('walrust.config.json')
  }

  const gatewayUrl = () => originOf(gateway)

  /** Every command, in turn as text and as JSON; what it says is searched. */
  async function runAll(file: string, succeed: boolean): Promise<void> {
    const commands: string[][] = [
      ['explain'],
      ['watch', '--once'],
      ['list'],
      ['list', 'app'],
      ['verify', 'app', '--restore'],
      ['compact', 'app'],
      ['snapshot', folder.file('app.db')],
      ['restore', 'app', '-o', folder.file('restored.db'), '--force'],
      ['replicate', 'app', '--local', folder.file('copy.db'), '--once'],
    ]
    for (const [index, command] of commands.entries()) {
      // The other way round where all fails.
      const format = (index % 2 === 0) === succeed ? 'text' : 'json'
      const json = format === 'json' ? ['--json'] : []
      const args = ['--config', file, '--log-level', 'debug', '--log-format', format, ...json, ...command]
      const { status, output } = await runCli(args, environment())
      assert.equal(status === 0, succeed || command[0] === 'explain', output)
      assertFree(output, `${command.join(' ')} as ${format}`)
    }
  }

  /** Everything that was written, but for the files that the user has put there. */
  function assertFilesFree(): void {
    const own = ['walrust.config.json', 'key.txt', 'api-key.txt', 'app.db']
    for (const name of readdirSync(folder.path, { recursive: true }) as string[]) {
      const path = join(folder.path, name)
      if (own.includes(name) || !statSync(path).isFile()) continue
      assertFree(readFileSync(path, 'latin1'), name)
    }
  }

  /** Everything that a running watch shows to those who ask over HTTP. */
  async function pages(watch: WalrustProcess): Promise<string> {
    const { url } = await watch.line('metrics')
    const texts = ['', 'metrics', 'health', 'status.json', 'page.js'].map(async (path) =>
      (await fetch(new URL(path, String(url)))).text(),
    )
    return (await Promise.all(texts)).join('\n')
  }

  it('are in nothing that is said, written, sent or shown while all is well', async () => {
    const file = configure(storage.endpoint)
    await runAll(file, true)
    const watch = new WalrustProcess(['--config', file, 'watch', '--log-level', 'debug', '--on-startup'], {
      env: environment(),
      cwd: folder.path,
    })
    try {
      await watch.line('watching')
      const answer = await runCli(['sync', folder.file('app.db'), '--json'])
      assert.equal(answer.status, 0, answer.output)
      await watch.line(({ message }) => message === 'the heartbeat was not taken')
      assertFree(answer.output + (await pages(watch)), 'a page')
      const [{ headers, path, body }] = await receiver.requests(1)
      // They do get where they belong.
      assert.equal(headers['x-authorization'], `Bearer ${SECRETS.webhookBearer}`)
      assert.equal(headers['x-api-key'], SECRETS.webhookApiKey)
      assert.equal(path, `/services/${SECRETS.webhookPath}`)
      const basic = Buffer.from(`hook:${SECRETS.webhookPassword}`).toString('base64')
      assert.equal(headers.authorization, `Basic ${basic}`)
      assert.ok(storage.log.some((entry) => entry.headers['x-amz-security-token'] === SECRETS.sessionTokenInConfig))
      assertFree(body.toString(), 'an event')
    } finally {
      assert.equal(await watch.kill('SIGTERM'), 0, watch.tail())
    }
    assertFree(JSON.stringify(watch.lines) + watch.stdout, 'watch')
    for (const { body } of receiver.received) assertFree(body.toString(), 'an event')
    assertFilesFree()
    for (const [key, { bytes, metadata }] of storage.bucket.objects)
      assertFree(`${key} ${JSON.stringify(metadata)} ${bytes?.toString('latin1')}`, key)
  })

  it('nor when storage fails and repeats all of them', async () => {
    const file = configure(gatewayUrl())
    gatewayStatus = 403
    await runAll(file, false)
    assert.ok(
      heard.some((headers) => headers.includes(SECRETS.sessionTokenInConfig)),
      'the gateway got nothing',
    )
    gatewayStatus = 500
    const watch = new WalrustProcess(['--config', file, 'watch', '--log-level', 'debug'], { env: environment() })
    try {
      await watch.line('sync_failed')
      const shown = await pages(watch)
      assert.match(shown, /no: \*{8}/, 'the pages do not show the error: this has tested nothing')
      assertFree(shown, 'a page')
      await receiver.requests(1)
    } finally {
      await watch.kill('SIGTERM')
    }
    assertFree(JSON.stringify(watch.lines) + watch.stdout, 'watch')
    for (const { body } of receiver.received) assertFree(body.toString(), 'an event')
    assertFilesFree()
  })

  it('nor in an error, a log line, an event or the status of the library', async () => {
    gatewayStatus = 500
    const said: unknown[] = []
    const at = (message: string, fields: unknown) => void said.push(message, fields)
    const log = { debug: at, info: at, warn: at, error: at }
    const all = { ...config(gatewayUrl()), metrics: false, shutdownTimeout: '100ms' }
    const walrust = createWalrust(all as never, { folder: folder.path, log, onEvent: (event) => void said.push(event) })
    // The engine process has the environment of the program.
    const before = { ...process.env }
    Object.assign(process.env, environment())
    await walrust.start()
    while (!JSON.stringify(said).includes('sync_failed')) await new Promise((resolve) => setTimeout(resolve, 20))
    said.push(await walrust.status())
    for (const call of [() => walrust.list(), () => walrust.verify('app'), () => walrust.stop()]) {
      const error = await call().then(
        () => assert.fail('it succeeded'),
        (reason: unknown) => reason as WalrustError,
      )
      for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) said.push(cause.message)
    }
    for (const name of Object.keys(environment())) {
      if (before[name] === undefined) Reflect.deleteProperty(process.env, name)
      else process.env[name] = before[name]
    }
    const text = JSON.stringify(said)
    assert.match(text, /no: \*{8}/, 'the error was not told: this has tested nothing')
    assertFree(text, 'the library')
  })

  it('nor in what is said of mistakes', async () => {
    const { webhookSecret, webhookPath, storageKeyInFile } = SECRETS
    const mistakes: object[] = [
      { plugins: [['walrust:webhook', { url: 'https://example.com', secret: [webhookSecret] }]] },
      { plugins: [['walrust:webhook', { url: `ftp://example.com/${webhookPath}`, secret: webhookSecret }]] },
      { plugins: [['walrust:webhook', { url: `example.com/${webhookPath}`, sekret: webhookSecret }]] },
      { plugins: [['walrust:heartbeat', { url: `htp//example.com/${webhookPath}`, interval: 'x' }]] },
      { storage: { url: 's3://bucket/backups', secretAccessKey: storageKeyInFile } },
      { storage: { url: `s3://key:${storageKeyInFile.replaceAll('/', '.')}@bucket/backups` } },
      { storage: { url: 's3://bucket/backups', secretKey: storageKeyInFile } },
      { storage: { url: `s3://bucket/backups?secretAccessKey=${encodeURIComponent(storageKeyInFile)}` } },
      { token: webhookSecret, sync: { password: webhookSecret } },
    ]
    for (const [index, mistake] of mistakes.entries()) {
      const file = folder.file('mistake.json')
      writeFileSync(file, JSON.stringify({ databases: ['app.db'], metrics: false, ...mistake }))
      // Most of what is said as JSON is said as text besides.
      const json = index % 3 === 0 ? [] : ['--json']
      const { status, output } = await runCli(['--config', file, ...json, 'watch', '--once'])
      assert.notEqual(status, 0, output)
      assertFree(output, JSON.stringify(mistake))
      assert.ok(!output.includes(storageKeyInFile.replaceAll('/', '.')), output)
    }
  })

  it('an error that goes to another process is masked with all that caused it', () => {
    keepSecret(SECRETS.webhookSecret)
    const said = `no with ${SECRETS.webhookSecret}`
    const packed: PackedError = packError(
      new WalrustError('E_STORAGE', said, { hint: said, storage: said, cause: new Error(said) }),
    )
    assertFree(JSON.stringify(packed), 'it')
    assert.match(packed.message, /no with .*\*+/)
  })
})
