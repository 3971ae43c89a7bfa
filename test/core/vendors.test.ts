import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryPath } from '../helpers/ltx.js'

const VENDORS = /\b(aws|amazon|tigris|cloudflare|google|azure|backblaze|minio|versitygw)/i

/** The list of what comes with walrust, and what is made of it. */
const LISTS = new Set(['cli/built-in.ts', 'core/kernel/kernel-bytes.ts'])

describe('no file of the core or the command line names a vendor', () => {
  for (const folder of ['core', 'cli']) {
    it(folder, () => {
      const files = (readdirSync(repositoryPath(folder), { recursive: true }) as string[])
        .filter((name) => name.endsWith('.ts') && !name.includes('generated'))
        .map((name) => join(folder, name))
      assert.ok(files.length > 10)
      for (const file of files.filter((name) => !LISTS.has(name))) {
        const lines = readFileSync(repositoryPath(file), 'utf8').split('\n')
        assert.deepEqual(lines.filter((line) => VENDORS.test(line)), [], file) // prettier-ignore
      }
    })
  }
})
