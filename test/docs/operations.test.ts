import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { EVENT_NAMES } from '../../core/events.js'
import { SILENT } from '../../core/log.js'
import { Host } from '../../core/host.js'
import { createInstruments } from '../../plugins/metrics/instruments.js'

const read = (name: string) => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8')
const named = (text: string) => new Set(text.match(/\bwalrust_[a-z_]+/g)?.map((name) => name.replace(/_bucket$/, '')))

describe('docs/operations.md and what lies beside it', () => {
  let known: Set<string>
  before(async () => {
    const host = new Host(SILENT)
    const names: string[] = []
    host.use({
      name: 'test',
      apply: (given) => {
        host.observe(() => ({ startedAt: 0, maxLag: 0, databases: [] }))
        ready = createInstruments(given).then(({ registry }) =>
          names.push(...registry.getMetricsAsArray().map((metric) => (metric as { name: string }).name)),
        )
      },
    })
    await ready
    known = new Set(names)
  })
  let ready: Promise<unknown>

  it('explains every metric, and names none that is not there', () => {
    assert.deepEqual([...named(read('operations.md'))].sort(), [...known].sort())
  })

  for (const file of ['monitoring/alerts.yaml', 'monitoring/grafana.json']) {
    it(`${file} can be read and asks for metrics that are there`, () => {
      const text = read(file)
      assert.ok(file.endsWith('.json') ? JSON.parse(text) : parse(text))
      const names = [...named(text)]
      assert.ok(names.length > 5)
      for (const name of names) assert.ok(known.has(name), name)
    })
  }

  it('every alert says what it is about', () => {
    const { groups } = parse(read('monitoring/alerts.yaml')) as {
      groups: Array<{ rules: Array<Record<string, unknown>> }>
    }
    for (const rule of groups.flatMap(({ rules }) => rules)) {
      assert.ok(typeof rule.expr === 'string' && rule.annotations && rule.labels, String(rule.alert))
    }
  })

  it('says when each event is raised', () => {
    const page = read('operations.md')
    for (const event of EVENT_NAMES) assert.match(page, new RegExp(`^\\|.*\`${event}\`.*\\|`, 'm'))
  })
})
