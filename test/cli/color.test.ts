import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createDatabase, useFolder } from '../helpers/databases.js'

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
/** What changes the colour or weight of text on a terminal. */
// eslint-disable-next-line no-control-regex -- that is what it is
const COLOR = /\u001b\[[0-9;]*m/

describe('on a terminal', function () {
  this.timeout(60_000)
  const folder = useFolder()

  /** Runs walrust with a terminal as its output. `undefined` where there is no program that gives one. */
  function onTerminal(args: readonly string[], env: NodeJS.ProcessEnv): string | undefined {
    const command = [process.execPath, CLI, ...args].map((word) => `'${word}'`).join(' ')
    const { status, stdout, error } = spawnSync('script', ['-qec', command, '/dev/null'], {
      encoding: 'utf8',
      env: { ...process.env, TERM: 'xterm-256color', ...env },
    })
    if (error) return undefined
    assert.equal(status, 0, stdout)
    return stdout
  }

  it('progress is shown, and nothing in colour with NO_COLOR', function () {
    createDatabase(folder.file('app.db'), { bytes: 100_000 })
    const bucket = ['-b', `file://${folder.file('backups')}`]
    const watched = onTerminal(['watch', folder.file('app.db'), '--once', '--no-metrics', ...bucket], { NO_COLOR: '1' })
    if (watched === undefined) return this.skip()
    const restored = onTerminal(['restore', 'app', '-o', folder.file('r.db'), ...bucket], { NO_COLOR: '1' })
    const verified = onTerminal(['verify', 'app', ...bucket], { NO_COLOR: '1' })
    const help = onTerminal(['watch', '--help'], { NO_COLOR: '1' })
    assert.match(String(restored), /restoring .*%/)
    assert.match(String(verified), /verifying .*%/)
    for (const output of [watched, restored, verified, help]) assert.doesNotMatch(String(output), COLOR)
    return undefined
  })
})
