import { PassThrough, Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import type { ObjectBody, Plugin } from '../../core/index.js'

export const NAME = 'walrust-plugin-gzip'

/** What a third-party codec looks like: listed in a configuration by the path of this file. */
export default function gzipCodec(): Plugin {
  return {
    name: NAME,
    walrust: '>=0.1',
    apply({ hooks }) {
      hooks.encode.tap(NAME, (request) => {
        if (!request.body) throw new Error('there is no body')
        return { ...request, body: through(request.body, createGzip()), codecs: [...request.codecs, NAME] }
      })
      hooks.decode.tap(NAME, (request) => {
        if (request.codecs.at(-1) !== NAME) return request
        return { ...request, body: through(request.body, createGunzip()), codecs: request.codecs.slice(0, -1) }
      })
    },
  }
}

async function* copies(body: ObjectBody): AsyncGenerator<Buffer> {
  for await (const piece of body) yield Buffer.from(piece)
}

async function* through(body: ObjectBody, transform: Transform): ObjectBody {
  const out = new PassThrough()
  const done = pipeline(Readable.from(copies(body), { objectMode: false }), transform, out)
  done.catch(() => undefined)
  yield* out as AsyncIterable<Buffer>
  await done
}
