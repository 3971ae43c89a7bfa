import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { EVENT_NAMES } from '../../../core/events.js'

describe('schemas of plugins', () => {
  it('webhook knows the events that there are', () => {
    const file = new URL('../../../../schemas/plugins/webhook.json', import.meta.url)
    const schema = JSON.parse(readFileSync(file, 'utf8')) as { properties: { events: { items: { enum: string[] } } } }
    assert.deepEqual(schema.properties.events.items.enum, [...EVENT_NAMES])
  })
})
