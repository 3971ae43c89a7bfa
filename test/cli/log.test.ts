import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
const LOG = fileURLToPath(new URL('../../cli/log.js', import.meta.url))

/** A process that logs so many lines, says on standard output how much waits for a reader, and ends when told to. */
function logging(lines: number) {
  const code = `
    import { stderrLog } from ${JSON.stringify(LOG)}
    const log = stderrLog({ level: 'info', format: 'json' })
    for (let i = 0; i < ${lines}; i++) {
      log.info('line ' + i)
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    process.stdout.write(process.stderr.writableLength + '\\n')
    await new Promise((resolve) => process.stdin.once('data', resolve))
    while (process.stderr.writableLength > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    log.info('the last')
  `
  return spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['pipe', 'pipe', 'pipe'] })
}

describe('what a command prints', () => {
  it('may be read for as long as somebody wants to: a closed pipe is no error', async () => {
    const child = spawn(process.execPath, [CLI, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    let text = ''
    child.stderr.on('data', (data: Buffer) => (text += data.toString()))
    const [code] = (await once(child, 'close')) as [number]
    assert.deepEqual([code, text], [0, ''])
  })
})

describe('log', () => {
  let child: ChildProcessWithoutNullStreams
  afterEach(() => child.kill('SIGKILL'))

  it('keeps a bounded amount for a reader who does not get on, and tells him what he missed', async () => {
    child = logging(60_000)
    const [said] = (await once(child.stdout, 'data')) as [Buffer]
    const waiting = Number(said.toString())
    assert.ok(waiting > 1024 * 1024 && waiting < 1.1 * 1024 * 1024, `${waiting} characters wait`)
    let text = ''
    child.stderr.on('data', (data: Buffer) => (text += data.toString()))
    child.stdin.end('on\n')
    await once(child, 'close')
    const last = JSON.parse(text.trim().split('\n').at(-1) ?? '') as { message: string; linesLeftOutBefore: number }
    const lines = text.trim().split('\n').length
    assert.equal(last.message, 'the last')
    assert.equal(last.linesLeftOutBefore, 60_001 - lines)
  })

  it('goes on when its reader has gone away', async () => {
    child = logging(2000)
    child.stderr.destroy()
    await once(child.stdout, 'data')
    child.stdin.end('on\n')
    const [code] = (await once(child, 'close')) as [number]
    assert.equal(code, 0)
  })
})
