import assert from 'node:assert/strict'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { discover } from '../../core/discover.js'
import { createDatabase, useFolder } from '../helpers/databases.js'

describe('databases that are looked for', () => {
  const folder = useFolder()
  const place = (path: string, name?: string) => ({ path: folder.file(path), name })
  const names = async (places: Parameters<typeof discover>[0], known?: Map<string, string>) =>
    (await discover(places, [], known)).map(({ name }) => name).sort()

  it('are found in folders and by patterns, called by where they are below them', async () => {
    mkdirSync(folder.file('tenants/42'), { recursive: true })
    createDatabase(folder.file('tenants/42/app.db'))
    createDatabase(folder.file('tenants/other.db'))
    writeFileSync(folder.file('tenants/notes.txt'), 'no database')
    assert.deepEqual(await names([place('tenants')]), ['42/app', 'other'])
    assert.deepEqual(await names([place('tenants/*/app.db')]), ['42/app'])
    assert.deepEqual(await names([place('tenants', '{folder}-{name}')]), ['42-app', 'tenants-other'])
  })

  it('are one each, however many ways lead to them, each time they are looked for', async () => {
    createDatabase(folder.file('app.db'))
    symlinkSync(folder.file('app.db'), folder.file('alias.db'))
    const known = new Map<string, string>()
    const places = [place('.'), place('alias.db'), place('app.db', 'mine'), place('later.db')]
    for (let i = 0; i < 3; i++) assert.deepEqual(await names(places, known), ['alias', 'later'])
    // What was not there has been no file at all so far.
    symlinkSync(folder.file('app.db'), folder.file('later.db'))
    for (let i = 0; i < 3; i++) assert.deepEqual(await names(places, known), ['alias'])
    rmSync(folder.file('later.db'))
    createDatabase(folder.file('later.db'))
    assert.deepEqual(await names([place('later.db')], new Map()), ['later'])
  })
})
