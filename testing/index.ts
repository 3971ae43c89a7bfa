/**
 * `walrust/testing`: what the authors of plugins run against their work. The built-in plugins pass the same suites.
 * Plain functions that return cases, for any test runner: `for (const { name, run } of cases) it(name, run)`.
 */
export { type CodecSubject, codecCases } from './codec.js'
export { type ConformanceCase, ConformanceError } from './conformance.js'
export { type Arrival, type NotifierScene, type NotifierSubject, notifierCases } from './notifier.js'
export { pluginCases, type PluginSubject } from './plugin.js'
export { storeCases } from './store/index.js'
export type { StoreSubject } from './store/subject.js'
