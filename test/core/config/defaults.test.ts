import assert from 'node:assert/strict'
import { convert } from '../../../core/config/convert.js'
import { KEYS } from '../../../core/config/generated/keys.js'
import { DEFAULT_PROCESS } from '../../../core/config/settings-of.js'
import { DEFAULT_SETTINGS } from '../../../core/settings.js'

describe('defaults', () => {
  for (const key of KEYS.filter(({ default: value }) => value !== undefined)) {
    it(`${key.path}: the schema says what the code does`, () => {
      const root = (key.perDatabase ? DEFAULT_SETTINGS : DEFAULT_PROCESS) as unknown
      const value = key.path.split('.').reduce((here, name) => (here as Record<string, unknown>)[name], root)
      assert.deepEqual(value, convert(key.type, key.default))
    })
  }
})
