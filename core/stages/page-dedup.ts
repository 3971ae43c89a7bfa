import type { Hooks } from '../hooks.js'

/** The first tap of `pageDedup`: a page that has the same checksum in storage was rewritten unchanged. */
export function tapPageDedup(hooks: Hooks): void {
  hooks.pageDedup.tap({ name: 'walrust:unchanged-pages', stage: -100 }, (pages, { stored }) =>
    pages.filter((page, high, low) => !stored.matches(page, high, low)),
  )
}
