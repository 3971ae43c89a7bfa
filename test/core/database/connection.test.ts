import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import Database from 'better-sqlite3'
import { Connection } from '../../../core/database/connection.js'
import { isError } from '../../../core/errors.js'
import { createDatabase, useFolder } from '../../helpers/databases.js'

/** A writer that is off its processor for a while in the middle of a change of the index: its two copies differ. */
const WRITER = `const D = require('better-sqlite3'), fs = require('fs'), [, path, milliseconds] = process.argv
  const db = new D(path); db.exec('BEGIN IMMEDIATE')
  const shm = fs.openSync(path + '-shm', 'r+'), word = Buffer.alloc(4), second = 48 + 8
  fs.readSync(shm, word, 0, 4, second); word[0] ^= 1; fs.writeSync(shm, word, 0, 4, second)
  fs.writeSync(1, 'off')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(milliseconds))
  word[0] ^= 1; fs.writeSync(shm, word, 0, 4, second)
  db.exec('ROLLBACK'); setInterval(() => db, 1000)`

describe('how far the WAL has come', () => {
  let writer: ChildProcess | undefined
  let app: Database.Database
  let connection: Connection
  afterEach(async () => {
    connection.close()
    app.close()
    if (!writer) return
    writer.kill('SIGKILL')
    await once(writer, 'close')
    writer = undefined
  })
  const folder = useFolder()
  const path = () => folder.file('app.db')
  beforeEach(() => {
    createDatabase(path())
    app = new Database(path())
    app.exec('INSERT INTO rows(body) VALUES (1)')
    connection = new Connection(path())
  })

  async function writerIsOff(milliseconds: number): Promise<void> {
    const child = spawn(process.execPath, ['-e', WRITER, path(), String(milliseconds)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    writer = child
    await once(child.stdout, 'data')
  }

  it('is known again when a writer has its processor back that lost it in the middle of a change', async () => {
    const before = connection.state()
    assert.equal(before.log > 0, true)
    await writerIsOff(300)
    assert.deepEqual(connection.state(60_000), before)
  })

  it('is not made up when it does not come back', async () => {
    await writerIsOff(2 ** 30)
    assert.throws(
      () => connection.state(20),
      (error) => isError(error, 'E_DATABASE_UNREADABLE'),
    )
  })

  it('is not waited for in a database that is not in WAL mode', () => {
    connection.close()
    app.pragma('journal_mode = DELETE')
    connection = new Connection(path())
    assert.throws(
      () => connection.state(2 ** 30),
      (error) => isError(error, 'E_DATABASE_UNREADABLE'),
    )
  })
})
