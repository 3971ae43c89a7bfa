import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pluginCases, storeCases } from 'walrust/testing'
import storageFlat, { FlatStore } from './index.js'

describe('walrust-plugin-storage-flat', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flat-'))
  after(() => rmSync(folder, { recursive: true }))

  for (const { name, run } of pluginCases({ make: storageFlat })) it(name, run)
  for (const { name, run } of storeCases({ open: () => new FlatStore(`flat:${folder}`) })) it(name, run)
})
