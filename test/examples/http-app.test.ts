import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { useFolder } from '../helpers/databases.js'

const SERVER = fileURLToPath(new URL('../../../examples/http-app/server.js', import.meta.url))

interface Note {
  id: number
  text: string
}

describe('examples/http-app', function () {
  this.timeout(90_000)
  const folder = useFolder()
  const children = new Set<ChildProcess>()
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL')
    children.clear()
  })

  async function start(): Promise<{ child: ChildProcess; url: string; found: string; ended: Promise<unknown[]> }> {
    const place = { DATABASE: folder.file('data/notes.db'), BACKUP: `file://${folder.file('backups')}` }
    // With an empty disk it is another machine, which waits so long for a sign of life of the first.
    const env = { ...place, PORT: '0', WALRUST_LEASE_TTL: '2s' }
    const child = spawn(process.execPath, [SERVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    })
    children.add(child)
    const ended = once(child, 'exit')
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const [, url, found] = /^(\S+) \((.*)\)$/.exec(line) ?? []
    return { child, url, found, ended }
  }

  const post = async (url: string, text: string) => (await fetch(url, { method: 'POST', body: text })).status
  const texts = async (url: string) => ((await (await fetch(url)).json()) as Note[]).map(({ text }) => text).sort()

  it('has everything that it answered for, after a kill of everything and with an empty disk', async () => {
    const first = await start()
    assert.equal(first.found, 'no-backup')
    const answered: string[] = []
    const say = async (text: string) => {
      const status = await post(first.url, text).catch(() => 0)
      if (status === 201) answered.push(text)
    }
    await say('one')
    assert.deepEqual(answered, ['one'])
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let i = 0; i < 50; i++) await say(`${writer}/${i}`)
    })
    while (answered.length < 30) await new Promise((resolve) => setTimeout(resolve, 10))
    // The machine dies: the application and its engine at once, and the disk with them.
    const { pid = 0 } = first.child
    const engines = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
    assert.equal(engines.length, 1)
    process.kill(engines[0], 'SIGKILL')
    process.kill(pid, 'SIGKILL')
    await Promise.all([first.ended, ...writers])
    rmSync(folder.file('data'), { recursive: true })

    const second = await start()
    assert.equal(second.found, 'restored')
    const there = new Set(await texts(second.url))
    for (const text of answered) assert.ok(there.has(text), text)
    assert.equal(await post(second.url, 'and on'), 201)
    second.child.kill('SIGTERM')
    assert.deepEqual(await second.ended, [0, null])

    const third = await start()
    assert.equal(third.found, 'present')
    assert.ok((await texts(third.url)).includes('and on'))
    third.child.kill('SIGTERM')
    assert.deepEqual(await third.ended, [0, null])
  })
})
