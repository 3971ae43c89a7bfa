import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { endProcessesOf, useFolder } from '../helpers/databases.js'

describe('endProcessesOf', () => {
  const folder = useFolder()

  it('ends what a test started, and what a program that was killed left behind', async () => {
    const shell = spawn('sh', ['-c', 'sleep 1000 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(shell.stdout, 'data')) as [Buffer]
    const orphan = Number(line.toString())
    shell.kill('SIGKILL')
    await once(shell, 'exit')
    assert.ok(alive(orphan))
    endProcessesOf(folder.path)
    assert.ok(!alive(orphan))
  })
})

/** Whether it still runs: what nobody has waited for yet keeps its number, but nothing else. */
function alive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
