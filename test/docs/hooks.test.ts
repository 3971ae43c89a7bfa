import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createHooks, HOOK_POLICIES, type HookName } from '../../core/hooks.js'

const PAGE = new URL('../../../docs/hooks.md', import.meta.url)
const KINDS: Record<string, string> = {
  AsyncSeriesBailHook: 'bail',
  AsyncSeriesWaterfallHook: 'waterfall',
  AsyncParallelHook: 'parallel',
}

describe('docs/hooks.md', () => {
  it('has every hook with its kind, policy and deadline, in the order of the table in the code, and no other', () => {
    const rows = readFileSync(PAGE, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim().replaceAll('`', '')),
      )
      .map(([hook, kind, , failure, deadline]) => [hook, kind, failure, deadline])
    const hooks = createHooks()
    const expected = Object.entries(HOOK_POLICIES).map(([name, { onFailure, deadline, per }]) => {
      const kind = KINDS[hooks[name as HookName].constructor.name] ?? hooks[name as HookName].constructor.name
      return [name, kind, onFailure, `${deadline / 1000} s${per === 'call' ? '' : ' a piece'}`]
    })
    assert.deepEqual(rows, expected)
    assert.deepEqual(Object.keys(hooks), Object.keys(HOOK_POLICIES))
  })
})
