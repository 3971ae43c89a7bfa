import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checksum, createDatabase } from '../helpers/databases.js'

const TOP = fileURLToPath(new URL('../../../', import.meta.url))
const STORAGE = 'plugin-storage-flat'
const NOTIFIER = 'plugin-notifier-exec'

/** A project that has walrust and the two packages as npm would leave them: only what they pack. */
function project(folder: string): void {
  const modules = join(folder, 'node_modules')
  mkdirSync(modules, { recursive: true })
  symlinkSync(TOP, join(modules, 'walrust'))
  for (const name of [STORAGE, NOTIFIER]) {
    const from = join(TOP, 'examples', name)
    const { files } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { files: string[] }
    for (const file of ['package.json', ...files]) cpSync(join(from, file), join(modules, `walrust-${name}`, file))
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
}

describe('the example packages', function () {
  this.timeout(120_000)
  let folder: string
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'walrust-test-'))))
  afterEach(() => rmSync(folder, { recursive: true }))

  for (const name of [STORAGE, NOTIFIER]) {
    it(`${name} passes the suites of walrust/testing`, () => {
      cpSync(join(TOP, 'examples', name), folder, { recursive: true })
      mkdirSync(join(folder, 'node_modules'))
      symlinkSync(TOP, join(folder, 'node_modules', 'walrust'))
      const mocha = join(TOP, 'node_modules', 'mocha', 'bin', 'mocha.js')
      const run = spawnSync(process.execPath, [mocha, '--no-config', '--timeout', '60000', 'index.test.js'], {
        cwd: folder,
        encoding: 'utf8',
      })
      assert.equal(run.status, 0, run.stdout + run.stderr)
      assert.match(run.stdout, /\d{2} passing/)
    })
  }

  it('are used from a configuration, and the storage by its URL alone', () => {
    project(folder)
    createDatabase(join(folder, 'app.db'), { bytes: 50_000 })
    const events = join(folder, 'events')
    writeFileSync(
      join(folder, 'walrust.config.ts'),
      `import { defineConfig } from 'walrust'
       export default defineConfig({
         databases: ['app.db'],
         storage: { url: 'flat:${folder}/flat', fsync: false },
         plugins: [
           'walrust-plugin-storage-flat',
           ['walrust-plugin-notifier-exec', { command: ['/bin/sh', '-c', 'cat >> ${events}'] }],
         ],
         metrics: false,
       })`,
    )
    const walrust = (...args: string[]) =>
      execFileSync(process.execPath, [join(folder, 'node_modules/walrust/dist/cli/main.js'), ...args], {
        cwd: folder,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
    walrust('watch', '--once')
    assert.match(readFileSync(events, 'utf8'), /"event":"snapshot_completed","database":"app"/)
    assert.ok(
      readdirSync(join(folder, 'flat')).some((name) => /^app%2F.*0000000000000001-0000000000000001\.ltx$/.test(name)),
    )
    walrust('verify', 'app')
    walrust('restore', 'app', '-o', 'restored.db', '-b', `flat:${folder}/flat`)
    assert.equal(checksum(join(folder, 'restored.db')), checksum(join(folder, 'app.db')))
  })
})
