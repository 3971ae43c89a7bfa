#!/usr/bin/env node
import { createReadStream, createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { LtxError, mergeLtx } from 'walrust/ltx'

const [target, ...sources] = process.argv.slice(2)
if (target === undefined || sources.length === 0) {
  console.error('usage: ltx-merge TARGET SOURCE…')
  process.exit(2)
}

const out = createWriteStream(target, { flags: 'wx' })
const closed = finished(out)
try {
  const header = await mergeLtx(
    sources.map((source) => createReadStream(source)),
    // The bytes are valid during the call only: the stream keeps a copy.
    (bytes) => out.write(Buffer.from(bytes)),
    // Asked between pages: what is written faster than the disk takes it waits here.
    { drain: async () => out.writableNeedDrain && (await new Promise((resolve) => out.once('drain', resolve))) },
  )
  out.end()
  await closed
  console.log(`transactions ${header.minTxid} to ${header.maxTxid}, ${header.commit} pages`)
} catch (error) {
  closed.catch(() => undefined)
  out.destroy()
  if (!(error instanceof LtxError)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = 1
}
