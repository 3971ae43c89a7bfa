import { type ConformanceCase, conformanceCase } from '../conformance.js'
import { conditionCases } from './conditions.js'
import { failureCases } from './failures.js'
import { listingCases } from './listings.js'
import { objectCases } from './objects.js'
import { Scene, type StoreSubject } from './subject.js'

/**
 * Everything that walrust relies on in a store. Every case runs for every store: what a capability promises is held
 * against it, and what is not declared has to be refused when it is used.
 *
 * @example
 * describe('my store', () => {
 *   for (const { name, run } of storeCases({ open: () => new MyStore('my://bucket/prefix') })) it(name, run)
 * })
 */
export function storeCases(subject: StoreSubject): ConformanceCase[] {
  const all = { ...objectCases, ...conditionCases, ...listingCases, ...failureCases }
  return Object.entries(all).map(([name, work]) => {
    const run = async () => {
      const scene = new Scene(await subject.open())
      try {
        await work(scene, subject)
        await scene.clean()
      } finally {
        await scene.store.close?.()
      }
    }
    return conformanceCase(name, run, subject.limit)
  })
}
