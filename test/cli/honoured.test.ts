import assert from 'node:assert/strict'
import { createDatabase, useFolder } from '../helpers/databases.js'
import { walrust } from '../helpers/processes.js'

describe('what is configured and would not be done', () => {
  const folder = useFolder()
  for (const [name, args, env, says] of [['lease.ttl', [], { WALRUST_LEASE_TTL: '500ms' }, 'at least 1s']] as const) {
    it(`${name} is refused with exit 2, and nothing is shipped`, async () => {
      createDatabase(folder.file('app.db'))
      const command = ['watch', folder.file('app.db'), '-b', `file://${folder.file('backups')}`, '--once', ...args]
      const run = await walrust(command, { env })
      assert.equal(run.code, 2, run.text)
      assert.match(run.text, new RegExp(`${name}.*${says}`))
    })
  }
})
