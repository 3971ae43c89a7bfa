import { retainLevels } from '../compact/levels.js'
import type { Hooks } from '../hooks.js'

/** The first tap of `retain`: files are merged into levels, and go when their time there is over. */
export function tapRetain(hooks: Hooks): void {
  hooks.retain.tap({ name: 'walrust:levels', stage: -100 }, retainLevels)
}
