/**
 * A small HTTP service with its data in one SQLite file, and that file in storage:
 *
 * - it starts with an empty disk: what storage has is restored first
 * - it answers a request that wrote something only when the commit is durable in storage
 * - killed at any instant, with its disk gone, it has everything that it has ever answered for
 *
 *     node examples/http-app/server.js
 *     curl -d 'buy milk' localhost:3000/notes
 *
 * DATABASE is the file (data/notes.db), BACKUP where it is shipped to (file:backups, or s3://bucket/prefix …).
 */
import Database from 'better-sqlite3'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname } from 'node:path'
import { createWalrust } from 'walrust'

const { DATABASE = 'data/notes.db', BACKUP = 'file:backups', PORT = '3000' } = process.env
/** Milliseconds that a request waits for storage. */
const PATIENCE = 10_000

const walrust = createWalrust(
  { databases: [{ path: DATABASE, name: 'notes' }], storage: BACKUP },
  { log: { ...console, info: () => undefined, debug: () => undefined } },
)

// Before anything opens the file.
const found = await walrust.ensureRestored(DATABASE)
mkdirSync(dirname(DATABASE), { recursive: true })
const db = new Database(DATABASE, { timeout: 5000 })
db.pragma('journal_mode = WAL')
db.exec('CREATE TABLE IF NOT EXISTS notes(id INTEGER PRIMARY KEY, text TEXT NOT NULL)')
await walrust.start()

const insert = db.prepare('INSERT INTO notes(text) VALUES (?)')
const all = db.prepare('SELECT id, text FROM notes ORDER BY id')

const server = createServer((request, response) => {
  answer(request).then(
    ({ status, body }) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    (error) => response.writeHead(500).end(String(error)),
  )
})

async function answer(request) {
  if (request.url !== '/notes') return { status: 404, body: { error: 'there is only /notes' } }
  if (request.method === 'GET') return { status: 200, body: all.all() }
  if (request.method !== 'POST') return { status: 405, body: { error: 'only GET and POST' } }
  let text = ''
  for await (const piece of request.setEncoding('utf8')) text += piece
  const id = Number(insert.run(text).lastInsertRowid)
  try {
    // Requests that wait at the same time share one upload.
    await walrust.sync('notes', { timeout: PATIENCE })
    return { status: 201, body: { id } }
  } catch (error) {
    // It is committed here and will be shipped; whether that is enough is for the client to say.
    return { status: 202, body: { id, durable: false, why: error.message, code: error.code } }
  }
}

server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/notes (${found})`)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(async () => {
      try {
        await walrust.stop()
      } catch (error) {
        console.error(error.message)
        process.exitCode = error.exitCode
      }
      db.close()
    })
  })
}
