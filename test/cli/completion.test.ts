import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { walrust } from '../helpers/processes.js'

describe('walrust completion', () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    it(`knows every command and its flags in ${shell}`, async () => {
      const { code, stdout } = await walrust(['completion', shell])
      assert.equal(code, 0)
      for (const name of ['watch', 'restore', 'verify', 'pragma', 'completion']) assert.match(stdout, new RegExp(name))
      assert.match(stdout, /sync-interval/)
      assert.doesNotMatch(stdout, /wal-sync-interval/, 'hidden flags stay hidden')
    })
  }

  it('completes in a real bash', async () => {
    const { stdout } = await walrust(['completion', 'bash'])
    const complete = (...words: string[]) => {
      const script = `${stdout}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _walrust; echo "\${COMPREPLY[*]}"`
      const { status, stdout: reply, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
      assert.equal(status, 0, stderr)
      return reply.trim().split(' ')
    }
    assert.deepEqual(complete('walrust', 'wat'), ['watch'])
    assert.deepEqual(complete('walrust', 'watch', '--metrics-p'), ['--metrics-port'])
    assert.deepEqual(complete('walrust', '--log-l'), ['--log-level'])
  })
})
