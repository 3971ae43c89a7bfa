import { messageOf } from '../core/errors.js'
import type { Host } from '../core/host.js'
import { type LtxHeader, startsAsLtx } from '../core/ltx/header.js'
import type { ObjectBody } from '../core/object-store.js'
import { NO_PAGES } from '../core/pages/page-set.js'
import type { Plugin } from '../core/plugin.js'
import { type ConformanceCase, conformanceCase, expect, expectFailure } from './conformance.js'
import { pluginCases } from './plugin.js'
import { hostOf, someDatabase } from './scene.js'
import { bytesOf, hashOf, noiseBody, pieces } from './store/subject.js'

/** A transform around files: it taps `encode`, and `decode` as its mirror. */
export interface CodecSubject {
  make(): Plugin | Promise<Plugin>
  /** The name that it adds to `codecs`, under which it is recorded with each object. */
  codec: string
  /** Whether damage to its output is noticed when it is taken off (an authenticated cipher, a checksum). */
  detectsDamage?: boolean
  /** Milliseconds that a case may take before it counts as hanging. 55 s if not given. */
  limit?: number
}

const HEADER: LtxHeader = {
  ...{ pageSize: 4096, commit: 1, minTxid: 1, maxTxid: 1, timestamp: 1, checksums: 'portable', pre: 0n, post: 0n },
  ...{ walOffset: 0, walSize: 0, walSalt1: 0, walSalt2: 0, nodeId: 0n },
}

const SIZES = [0, 1, 4096, 131_071, 3_000_000]

/** Cases for plugins that transform files, and those for every plugin. */
export function codecCases(subject: CodecSubject): ConformanceCase[] {
  const { codec } = subject
  const one = (name: string, run: (host: Host) => Promise<void>) =>
    conformanceCase(name, async () => run(hostOf(await subject.make())), subject.limit)
  return [
    ...pluginCases(subject),
    conformanceCase('is recorded under the name of its plugin', async () => {
      const { name } = await subject.make()
      const mend = 'add the name of the plugin: whoever restores without it is told that name, and installs it'
      expect(name === codec, `${name} is recorded as ${codec}`, mend)
    }),
    one('adds its name to the codecs of a file, behind those that are there', async (host) => {
      const { codecs } = await encode(host, noiseBody(100), ['inner'])
      const mend = `return \`{ ...request, body, codecs: [...request.codecs, '${codec}'] }\``
      expect(codecs.join() === `inner,${codec}`, `the codecs are ${JSON.stringify(codecs)}`, mend)
    }),
    ...SIZES.map((size) =>
      one(`gives back ${size} bytes as they were`, async (host) => {
        const encoded = await bytesOf((await encode(host, noiseBody(size))).body)
        const { body, codecs } = await decode(host, pieces(...cut(encoded, 65_536)), [codec])
        const [got, wanted] = [await hashOf(body), await hashOf(noiseBody(size))]
        const mend = 'pieces share a buffer and come in any size: copy what is kept, and flush at the end'
        expect(got.sha256 === wanted.sha256, `${size} bytes came back as ${got.size} other bytes`, mend)
        expect(codecs.length === 0, `after decoding, ${codecs.join()} is left`, 'take your name off `codecs`')
      }),
    ),
    one('reads its own output in pieces of one byte', async (host) => {
      const encoded = await bytesOf((await encode(host, noiseBody(5000))).body)
      const { body } = await decode(host, pieces(...cut(encoded, 1)), [codec])
      const same = (await hashOf(body)).sha256 === (await hashOf(noiseBody(5000))).sha256
      expect(same, 'it comes back otherwise', 'storage cuts bodies where it likes: gather what belongs together')
    }),
    one('leaves alone what it is not around', async (host) => {
      for (const codecs of [[], ['another'], [codec, 'another']]) {
        const { body, codecs: left } = await decode(host, noiseBody(1000), codecs)
        const same = (await hashOf(body)).sha256 === (await hashOf(noiseBody(1000))).sha256
        const mend = `return the request as it is unless \`codecs.at(-1) === '${codec}'\``
        expect(same && left.join() === codecs.join(), `it touched a file with the codecs [${codecs.join()}]`, mend)
      }
    }),
    one('makes something that does not begin as a file itself does', async (host) => {
      const { body } = await encode(host, pieces(Buffer.from('LTX1'), new Uint8Array(1000)))
      const mend = 'begin with something of your own: LTX1 says that no codec was there'
      expect(!startsAsLtx(await bytesOf(body)), 'its output begins with LTX1', mend)
    }),
    one('fails when its output was cut off', async (host) => {
      const encoded = await bytesOf((await encode(host, noiseBody(200_000))).body)
      const { body } = await decode(host, pieces(encoded.subarray(0, encoded.length >> 1)), [codec])
      await expectFailure(hashOf(body), 'half of a file is taken for the whole', 'notice a missing end, and throw')
    }),
    ...(subject.detectsDamage
      ? [
          one('fails when its output was changed', async (host) => {
            const encoded = await bytesOf((await encode(host, noiseBody(200_000))).body)
            encoded[encoded.length >> 1] ^= 1
            const { body } = await decode(host, pieces(encoded), [codec])
            await expectFailure(hashOf(body), 'a changed byte is not noticed', 'check a tag or checksum, and throw')
          }),
        ]
      : []),
    one('passes on the failure of the body it wraps', async (host) => {
      const failing = async function* (): ObjectBody {
        yield* noiseBody(100_000)
        throw new Error('the disk is gone')
      }
      const { body } = await encode(host, failing())
      const error = await expectFailure(hashOf(body), 'it is swallowed', 'do not catch what the body throws')
      expect(messageOf(error).includes('the disk is gone'), `it became ${messageOf(error)}`, 'let it through as it is')
    }),
  ]
}

async function encode(
  host: Host,
  body: ObjectBody,
  codecs: readonly string[] = [],
): Promise<{ body: ObjectBody; codecs: readonly string[] }> {
  const request = { database: someDatabase(), header: HEADER, pages: NO_PAGES, body, codecs }
  const encoded = await host.hooks.encode.promise(request)
  const mend = 'return the request with the wrapped body'
  expect(encoded.body !== undefined, 'after `encode` there is no body', mend)
  return { body: encoded.body, codecs: encoded.codecs }
}

async function decode(host: Host, body: ObjectBody, codecs: readonly string[]) {
  return host.hooks.decode.promise({ database: 'conformance', body, codecs })
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size))
  return parts
}
