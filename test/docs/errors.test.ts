import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ERRORS } from '../../core/errors.js'

const PAGE = new URL('../../../docs/errors.md', import.meta.url)

/** Code, exit code and hint of each entry of the page. */
function entries(): Map<string, { exitCode: number; hint: string; when: string }> {
  const found = new Map<string, { exitCode: number; hint: string; when: string }>()
  let exitCode = NaN
  for (const part of readFileSync(PAGE, 'utf8').split(/^(?=##)/m)) {
    exitCode = Number(/^## .*\(exit code (\d)\)/.exec(part)?.[1] ?? exitCode)
    const code = /^### (\w+)/.exec(part)?.[1]
    if (code === undefined) continue
    assert.ok(!found.has(code), `${code} is there twice`)
    const [, when = '', hint = ''] = part.split('\n\n')
    found.set(code, { exitCode, hint: hint.replace(/^> /gm, '').replace(/\n/g, ' ').trim(), when })
  }
  return found
}

describe('docs/errors.md', () => {
  it('has every code of the registry, with its exit code and its hint, and no other', () => {
    const page = entries()
    assert.deepEqual([...page.keys()].sort(), Object.keys(ERRORS).sort())
    for (const [code, { exitCode, hint }] of Object.entries(ERRORS)) {
      assert.equal(page.get(code)?.exitCode, exitCode, code)
      assert.equal(page.get(code)?.hint, hint, code)
      assert.ok((page.get(code)?.when.length ?? 0) > 20, `${code} says when it arises`)
    }
  })
})
