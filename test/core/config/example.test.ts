import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { BUILT_IN } from '../../../cli/built-in.js'
import { loadConfig } from '../../../core/config/load.js'
import { KEYS } from '../../../core/config/generated/keys.js'
import { repositoryPath } from '../../helpers/ltx.js'
import { useFolder } from '../../helpers/databases.js'

describe('the example configuration', () => {
  const folder = useFolder()
  const text = readFileSync(repositoryPath('walrust.config.example.ts'), 'utf8')

  it('is understood, with every secret it names', async () => {
    // As a project of a user has it, where the secrets are.
    mkdirSync(folder.file('secrets'))
    writeFileSync(folder.file('secrets/key'), 'secret\n')
    const own = text
      .replace("from './core/config/define.js'", "from 'walrust'")
      .replace('/run/secrets/backup-key', folder.file('secrets/key'))
    writeFileSync(folder.file('walrust.config.ts'), own)
    const env = {
      BACKUP_KEY: 'key',
      ALERTS_URL: 'https://alerts.example.com/x',
      ALERTS_SECRET: 'secret of the alerts',
      HEARTBEAT_URL: 'https://beat.example.com/x',
    }
    const { resolved } = await loadConfig({ builtIn: BUILT_IN, cwd: folder.path, env })
    assert.equal(resolved.databases.length, 3)
    assert.equal(resolved.databases[1].settings.sync.interval, 500)
    assert.equal(resolved.databases[0].storages[0].options.secretAccessKey, 'secret')
  })

  it('shows every key there is', () => {
    for (const { path } of KEYS) {
      const name = path.split('.').at(-1) ?? ''
      assert.match(text, new RegExp(`\\b${name}: `), path)
    }
  })
})
