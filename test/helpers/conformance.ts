import type { ConformanceCase } from '../../testing/index.js'

/** Runs the cases of a conformance suite in mocha. */
export function runCases(cases: readonly ConformanceCase[]): void {
  for (const { name, run } of cases) it(name, run)
}
