import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { SILENT } from '../../../core/log.js'
import { WalrustError } from '../../../core/errors.js'
import type { Proof } from '../../../core/verify/prove.js'
import { type ValidationRequest, Validator } from '../../../core/verify/validator.js'
import { useFolder } from '../../helpers/databases.js'

const SOUND: Proof = { txid: 3, files: 2, bytesRead: 10, restored: 4096, notRestored: undefined, findings: [] }
const DAY = 86_400_000

describe('validations by the clock', () => {
  let validator: Validator
  afterEach(() => validator.close())
  const folder = useFolder()

  /** A validator that does what it is told, and everything that was asked of it. */
  function make(answer: (request: ValidationRequest, signal: AbortSignal) => Promise<Proof>) {
    const asked: ValidationRequest[] = []
    const told: string[] = []
    let heard: () => void = () => undefined
    validator = new Validator({
      validate: async (request, signal) => {
        asked.push(request)
        try {
          return await answer(request, signal)
        } finally {
          setImmediate(() => heard())
        }
      },
      log: SILENT,
      failed: (database, error) => told.push(`${database}: ${error}`),
    })
    const until = async (test: () => boolean) => {
      while (!test()) await new Promise<void>((resolve) => (heard = resolve))
    }
    return { asked, told, until }
  }

  const database = (name: string, interval: number, isShipped = () => true) => {
    const place = folder.file(name)
    mkdirSync(place, { recursive: true })
    const places = [{ storage: { url: `file:///${name}`, options: {} }, folder: place }]
    return { name, validation: { interval, depth: 'quick' as const }, places, isShipped }
  }

  it('one at a time, each again and again', async () => {
    let [now, most] = [0, 0]
    const { asked, until } = make(async () => {
      most = Math.max(most, ++now)
      await new Promise((resolve) => setTimeout(resolve, 5))
      now--
      return SOUND
    })
    for (const name of ['a', 'b', 'c']) await validator.add(database(name, 20))
    const count = (name: string) => asked.filter((request) => request.database === name).length
    await until(() => ['a', 'b', 'c'].every((name) => count(name) >= 3))
    assert.equal(most, 1)
    assert.ok(Number(validator.statusOf('a')?.successes) >= 2)
  })

  it('when it was last is remembered over a start, and what is overdue comes at once', async () => {
    const { asked, until } = make(() => Promise.resolve(SOUND))
    const recent = database('recent', DAY)
    const overdue = database('overdue', DAY)
    writeFileSync(folder.file('recent/validated'), String(Date.now() - DAY / 2))
    writeFileSync(folder.file('overdue/validated'), String(Date.now() - 2 * DAY))
    await validator.add(recent)
    await validator.add(overdue)
    await until(() => asked.length > 0)
    await until(() => validator.statusOf('overdue')?.successes === 1)
    assert.deepEqual(
      asked.map((request) => request.database),
      ['overdue'],
    )
    assert.ok(Number(validator.statusOf('recent')?.last) < Date.now() - DAY / 3)
  })

  it('a failure is told of and shows until one finds everything right', async () => {
    let sound = false
    const { told, until } = make(() =>
      Promise.resolve(sound ? SOUND : { ...SOUND, findings: [{ code: 'gap' as const, what: 'nothing holds 2' }] }),
    )
    await validator.add(database('a', 20))
    await until(() => told.length > 0)
    assert.match(told[0], /^a: the backup in file:\/\/\/a is not sound: gap: nothing holds 2$/)
    assert.match(String(validator.statusOf('a')?.error), /gap/)
    sound = true
    await until(() => validator.statusOf('a')?.error === undefined)
    assert.ok(Number(validator.statusOf('a')?.successes) >= 1)
  })

  it('one that was not carried out counts as neither', async () => {
    const { asked, told, until } = make(() => Promise.reject(new WalrustError('E_STORAGE', 'it is away')))
    await validator.add(database('a', 10))
    await until(() => asked.length >= 3)
    assert.deepEqual([told, validator.statusOf('a')], [[], undefined])
  })

  it('not before anything is in storage, and not when it is off', async () => {
    const { asked } = make(() => Promise.resolve(SOUND))
    await validator.add(database('a', 1, () => false))
    await validator.add(database('b', 0))
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.deepEqual(asked, [])
  })

  it('ends when its database is let go', async () => {
    const { asked, until } = make(
      (_request, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
    )
    await validator.add(database('a', 1))
    await Promise.race([until(() => asked.length > 0), new Promise((resolve) => setTimeout(resolve, 50))])
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await validator.remove('a')
    assert.equal(validator.statusOf('a'), undefined)
    assert.equal(asked.length, 1)
  })
})
