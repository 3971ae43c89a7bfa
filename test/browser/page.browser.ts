import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { createDatabase, useFolder } from '../helpers/databases.js'
import { EngineProcess } from '../helpers/engine.js'
import type { EngineSetup } from '../helpers/engine-process.js'
import { parsePrometheus } from '../helpers/prometheus.js'
import { HelperProcess } from '../helpers/processes.js'

/**
 * The page in a real browser, with a real engine behind it. `WALRUST_SHOTS=FOLDER` keeps a picture of every state, to be
 * looked at.
 */
describe('the page', function () {
  this.timeout(120_000)
  let browser: Browser
  let page: Page
  let engine: EngineProcess | undefined
  let problems: string[]
  before(async () => {
    const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  })
  after(() => browser.close())
  afterEach(async () => {
    await page.close()
    await engine?.kill()
  })
  const folder = useFolder()

  async function start(names: readonly string[], more: Partial<EngineSetup> = {}): Promise<EngineProcess> {
    const databases = names.map((name, i) => ({ name, path: folder.file(`${i}.db`) }))
    for (const { path } of databases) createDatabase(path, { bytes: 20_000 })
    mkdirSync(folder.file('backups'))
    const settings = { resilience: { maxRetries: 1, baseDelay: 5, maxDelay: 20 } }
    const setup = { databases, storages: [folder.file('backups')], settings, metrics: { port: 0 }, ...more }
    engine = await EngineProcess.start(setup)
    assert.equal(engine.failed, undefined)
    await engine.flush()
    return engine
  }

  interface Look {
    width?: number
    scheme?: 'light' | 'dark'
  }

  async function open({ width = 1200, scheme = 'light' }: Look = {}): Promise<string> {
    const origin = String((await engine?.line('metrics'))?.url)
    const height = width < 500 ? 844 : 900
    page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme })
    problems = []
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('request', (request) => {
      if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) problems.push(request.url())
    })
    await page.goto(origin)
    await page.waitForSelector('body:not([data-status=loading])')
    return origin
  }

  async function looksRight(name: string): Promise<void> {
    const shots = process.env.WALRUST_SHOTS
    if (shots !== undefined) await page.screenshot({ path: join(shots, `${name}.png`) })
    assert.deepEqual(problems, [])
    const wide = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')
    assert.equal(wide, false, 'it has to be scrolled sideways')
  }

  const status = (wanted: string) => page.waitForSelector(`body[data-status=${wanted}]`)
  const verdict = () => page.textContent('#verdict')

  function commit(count = 1): void {
    const code = `const D = require('better-sqlite3'); const db = new D(process.argv[1]); for (let i = 0; i < ${count}; i++) db.exec("INSERT INTO rows(body) VALUES (randomblob(500))")`
    assert.equal(spawnSync(process.execPath, ['-e', code, folder.file('0.db')]).status, 0)
  }

  it('idle: says that everything is safe, with the figures of /metrics', async () => {
    const running = await start(['app'])
    commit(3)
    await running.flush()
    const origin = await open()
    assert.equal(await verdict(), 'Your data is safe')
    assert.match(String(await page.textContent('#because')), /Every commit of app is durable/)
    const families = parsePrometheus(await (await fetch(new URL('/metrics', origin))).text())
    const value = (name: string) => Number(families.get(name)?.samples[0].value)
    await page.click('summary')
    const row = String(await page.textContent('details'))
    assert.match(row, new RegExp(`TXID ${value('walrust_current_txid')}\\b`))
    const files = value('walrust_stored_files')
    const txid = value('walrust_confirmed_txid')
    assert.ok(row.includes(`${files} files, `) && row.includes(`confirmed TXID ${txid} of ${txid}`), row)
    assert.equal(await page.textContent('#tile-databases'), String(value('walrust_databases_total')))
    assert.equal(await page.textContent('#tile-unshipped'), 'none')
    const kib = (bytes: number) => (bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`)
    assert.equal(await page.textContent('#tile-stored'), kib(value('walrust_stored_bytes')))
    await looksRight('idle')
  })

  it('busy: follows what is going on', async () => {
    await start(['orders', 'sessions', 'mail'])
    const writer = new HelperProcess('writer', { path: folder.file('0.db'), rate: 50, seconds: 0 })
    await open()
    const txid = async () =>
      Number(/TXID (\d+)/.exec(String(await page.textContent('details[data-name=orders]')))?.[1] ?? 0)
    const before = await txid()
    while ((await txid()) <= before + 1) await new Promise((resolve) => setTimeout(resolve, 200))
    await page.click('details[data-name=orders] summary')
    if (process.env.WALRUST_SHOTS !== undefined) await new Promise((resolve) => setTimeout(resolve, 45_000))
    await page.waitForSelector('details[data-name=orders][open]')
    await looksRight('busy')
    await writer.kill()
  })

  it('degraded, then failing, then well again', async () => {
    const running = await start(['orders', 'mail'], { maxLag: 4000 })
    await open()
    await running.fault('transient')
    commit()
    await status('degraded')
    assert.equal(await verdict(), 'Safe so far, but something is wrong')
    await looksRight('degraded')
    await status('unhealthy')
    assert.equal(await verdict(), 'Your data is not safe right now')
    assert.equal(await page.getAttribute('details >> nth=0', 'data-name'), 'orders')
    await page.click('summary >> nth=0')
    await page.waitForSelector('text=sync_failed')
    await looksRight('failing')
    await running.fault('ok')
    await status('healthy')
    await looksRight('recovered')
  })

  it('says so when walrust is gone', async () => {
    await start(['app'])
    await open()
    await engine?.kill()
    await status('gone')
    assert.equal(await verdict(), 'walrust does not answer')
    problems = []
    await looksRight('gone')
  })

  it('a hundred databases, found by name, the failing ones first', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `tenants/${i}/app`)
    const running = await start(names)
    await running.fault('auth')
    commit()
    await running.event('auth_failure')
    await open()
    await status('unhealthy')
    assert.equal(await page.locator('details').count(), 100)
    assert.equal(await page.getAttribute('details >> nth=0', 'data-name'), 'tenants/0/app')
    await looksRight('hundred')
    await page.fill('#filter', '/42/')
    assert.equal(await page.locator('details').count(), 1)
    assert.equal(await page.textContent('#count'), '1 of 100 databases')
  })

  for (const scheme of ['light', 'dark'] as const) {
    it(`on a phone, ${scheme}`, async () => {
      await start(['orders', 'a-very-long-name-that-somebody-gave-to-a-database/in-a-folder/with-more-of-it'])
      await open({ width: 390, scheme })
      await looksRight(`phone-${scheme}`)
    })
  }

  it('dark', async () => {
    await start(['orders', 'mail'])
    await open({ scheme: 'dark' })
    await page.click('summary >> nth=0')
    await looksRight('dark')
  })

  it('shows names and errors as text, whatever is in them', async () => {
    const evil = '<img src=x onerror=document.title=1><script>alert(1)</script>'
    await start([evil])
    await open()
    assert.equal(await page.locator('#rows img, #rows script').count(), 0)
    assert.equal(await page.getAttribute('details', 'data-name'), evil)
    await looksRight('evil')
  })
})
