import { WalrustError } from '../errors.js'

/** Something about the configuration that is not as it must be. */
export interface Finding {
  /** File, preset, variable or flag where it stands. */
  readonly source: string
  /** `databases[1].snapshot.interval`; empty for the whole. */
  readonly path: string
  /** What is wrong and what was expected. */
  readonly message: string
  /** What was probably meant. */
  readonly suggestion?: string
}

/** Everything that is wrong with a configuration, at once. */
export class ConfigError extends WalrustError {
  constructor(readonly findings: readonly Finding[]) {
    super('E_CONFIG', describe(findings), {
      hint:
        findings.length === 1
          ? 'docs/options.md lists every key with what it takes.'
          : 'Correct all of them; docs/options.md lists every key with what it takes.',
    })
  }
}

function describe(findings: readonly Finding[]): string {
  const lines = findings.map(({ source, path, message, suggestion }) => {
    const where = path === '' ? source : `${source}: ${path}`
    return `${where} ${message}${suggestion === undefined ? '' : `; did you mean ${suggestion}?`}`
  })
  if (lines.length === 1) return lines[0]
  return [`the configuration has ${lines.length} mistakes:`, ...lines.map((line) => `  - ${line}`)].join('\n')
}

/** Throws if anything was found. Errors: {@link ConfigError}. */
export function throwFindings(findings: readonly Finding[]): void {
  if (findings.length > 0) throw new ConfigError(findings)
}
