import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { BUILT_IN } from '../../../cli/built-in.js'
import type { EventDocument } from '../../../cli/generated/outputs.js'
import { EVENT_NAMES, type WalrustEvent } from '../../../core/events.js'
import { assertMatches, readSchema } from '../../helpers/schemas.js'

describe('schemas', () => {
  it('there is one for each built-in plugin, and no other', () => {
    const schemas = readdirSync(new URL('../../../../schemas/plugins', import.meta.url))
    assert.deepEqual(
      schemas.map((name) => `walrust:${name.replace('.json', '')}`).sort(),
      Object.keys(BUILT_IN.plugins).sort(),
    )
  })

  it('know the events that there are, where webhooks choose some and where they are described', () => {
    const { definitions } = readSchema('shared.json') as { definitions: { eventName: { enum: string[] } } }
    assert.deepEqual(definitions.eventName.enum, [...EVENT_NAMES])
    const { properties } = readSchema('event.json') as { properties: { event: { enum: string[] } } }
    assert.deepEqual(properties.event.enum, [...EVENT_NAMES])
  })

  it('an event is what its schema says', () => {
    const event: WalrustEvent = {
      ...{ event: 'sync_failed', database: 'app', error: 'no', attempts: 3 },
      ...{ timestamp: new Date().toISOString(), version: '1.0.0', context: { storage: 'file:///x' } },
    }
    // Both ways: the type that is made of the schema and the one of the code say the same.
    const document: EventDocument = event
    const again: WalrustEvent = document
    assertMatches('event.json', again)
    assert.throws(() => assertMatches('event.json', { ...event, event: 'never' }))
    assert.throws(() => assertMatches('event.json', { ...event, more: 1 }))
  })
})
