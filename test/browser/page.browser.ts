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

/** Figures of one database in one storage: bytes, seconds, numbers. */
interface Figures {
  files: number
  stored: number
  confirmed: number
  txid: number
  unshipped: number
  waiting: number
}

interface Health {
  name: string
  status: string
}

const MONOTONE = ['files', 'stored', 'confirmed', 'txid'] as const
const ALL = [...MONOTONE, 'unshipped', 'waiting'] as const
const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, s: 1, ms: 0.001 }

/** A figure of the page, and how far off what is shown may be for being shown with few digits. */
function valueOf(text: string): { value: number; rounding: number } {
  const match = /^(\d+(?:\.(\d))?)(?: (B|KiB|MiB|s|ms))?$/.exec(text)
  assert.ok(match, text)
  const [number, digit, unit = ''] = [match[1], match.at(2), match.at(3)]
  const factor = UNITS[unit] ?? 1
  const isExact = digit === undefined && factor === 1 && unit !== 's'
  return { value: Number(number) * factor, rounding: isExact ? 0 : (factor * (digit === undefined ? 1 : 0.1)) / 2 }
}

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

  /** What the page says of a database, read at one moment right after it has asked. */
  async function shown(name: string): Promise<Record<keyof Figures | 'status', string>> {
    const read = `look().then(() => {
      const row = document.querySelector('details[data-name=${name}]')
      const tile = (id) => document.getElementById('tile-' + id).textContent
      const said = (term) => [...row.querySelectorAll('dt')].find((dt) => dt.textContent === term).nextSibling.textContent
      const [, files, stored, confirmed, txid] = /^(.*) files?, (.*); confirmed TXID (.*) of (.*)$/.exec(said('There'))
      const unshipped = row.querySelector('summary').textContent.includes('all durable') ? '0 s' : tile('unshipped')
      return { files, stored, confirmed, txid, unshipped, waiting: said('Waiting here'), status: row.className }
    })`
    return await page.evaluate(read)
  }

  /** The same from `/metrics`. */
  async function measured(origin: string, name: string): Promise<Figures> {
    const families = parsePrometheus(await (await fetch(new URL('/metrics', origin))).text())
    const value = (metric: string) => {
      const sample = families.get(metric)?.samples.find(({ labels }) => labels.database === name)
      assert.ok(sample, metric)
      return sample.value
    }
    return {
      files: value('walrust_stored_files'),
      stored: value('walrust_stored_bytes'),
      confirmed: value('walrust_confirmed_txid'),
      txid: value('walrust_current_txid'),
      unshipped: value('walrust_unshipped_seconds'),
      waiting: value('walrust_spool_bytes'),
    }
  }

  /**
   * Holds each figure of the page against `/metrics`, asked right before and right after: those that are given only
   * become more in between. Returns what was measured last.
   */
  async function agrees(origin: string, name: string, which: ReadonlyArray<keyof Figures>): Promise<Figures> {
    const before = await measured(origin, name)
    const figures = await shown(name)
    const after = await measured(origin, name)
    for (const figure of which) {
      const { value, rounding } = valueOf(figures[figure])
      const text = `${figure}: ${before[figure]}, on the page ${figures[figure]}, then ${after[figure]}`
      assert.ok(value >= before[figure] - rounding && value <= after[figure] + rounding, text)
    }
    const health = (await (await fetch(new URL('/health', origin))).json()) as { databases: Health[] }
    assert.equal(figures.status, health.databases.find((database) => database.name === name)?.status)
    return after
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
    const origin = await open()
    const txid = async () =>
      Number(/TXID (\d+)/.exec(String(await page.textContent('details[data-name=orders]')))?.[1] ?? 0)
    const before = await txid()
    while ((await txid()) <= before + 1) await new Promise((resolve) => setTimeout(resolve, 200))
    await page.click('details[data-name=orders] summary')
    if (process.env.WALRUST_SHOTS !== undefined) await new Promise((resolve) => setTimeout(resolve, 45_000))
    await page.waitForSelector('details[data-name=orders][open]')
    await looksRight('busy')
    const first = await agrees(origin, 'orders', MONOTONE)
    let now = first
    while (now.txid <= first.txid + 2) now = await agrees(origin, 'orders', MONOTONE)
    assert.ok(now.stored > first.stored)
    await writer.kill()
  })

  it('degraded, then failing, then well again', async () => {
    const running = await start(['orders', 'mail'], { maxLag: 4000 })
    const origin = await open()
    await running.fault('transient')
    commit()
    await status('degraded')
    assert.equal(await verdict(), 'Safe so far, but something is wrong')
    await looksRight('degraded')
    // What waits is in the spool once it has been read, which may be just after the first failure.
    while ((await measured(origin, 'orders')).waiting === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    const waiting = await agrees(origin, 'orders', ALL)
    assert.ok(waiting.unshipped > 0 && waiting.txid === waiting.confirmed + 1, JSON.stringify(waiting))
    await status('unhealthy')
    assert.equal(await verdict(), 'Your data is not safe right now')
    assert.equal(await page.getAttribute('details >> nth=0', 'data-name'), 'orders')
    await page.click('summary >> nth=0')
    await page.waitForSelector('text=sync_failed')
    await looksRight('failing')
    const failing = await agrees(origin, 'orders', ALL)
    assert.ok(failing.unshipped > 4, JSON.stringify(failing))
    await running.fault('ok')
    await status('healthy')
    await looksRight('recovered')
    const well = await agrees(origin, 'orders', ALL)
    assert.deepEqual([well.unshipped, well.waiting, well.confirmed], [0, 0, well.txid])
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
