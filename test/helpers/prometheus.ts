/** A strict reader of the Prometheus text format 0.0.4, written from its description. */

export interface Family {
  name: string
  help: string
  type: string
  samples: Array<{ name: string; labels: Record<string, string>; value: number }>
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`)
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/
const TYPES = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped'])

/** Reads an exposition. Throws for whatever a scraper may refuse. */
export function parsePrometheus(text: string): Map<string, Family> {
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  let current: Family | undefined
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const comment = new RegExp(`^# (HELP|TYPE) (${NAME}) (.*)$`).exec(line)
    if (comment) {
      const [, kind, name, rest] = comment
      if (kind === 'HELP') {
        if (families.has(name)) throw new Error(`${name} comes twice`)
        current = { name, help: rest, type: '', samples: [] }
        families.set(name, current)
      } else {
        if (current?.name !== name || current.type !== '' || !TYPES.has(rest)) throw new Error(`misplaced: ${line}`)
        current.type = rest
      }
      continue
    }
    const match = SAMPLE.exec(line)
    if (!match || !current) throw new Error(`not a sample: ${line}`)
    const [, name, labels = '', number] = match
    if (!belongs(name, current)) throw new Error(`${name} lies under ${current.name}`)
    if (seen.has(`${name}{${labels}}`)) throw new Error(`${name}{${labels}} comes twice`)
    seen.add(`${name}{${labels}}`)
    current.samples.push({ name, labels: parseLabels(labels), value: parseNumber(number) })
  }
  for (const family of families.values()) checkFamily(family)
  return families
}

function belongs(name: string, { name: family, type }: Family): boolean {
  if (type !== 'histogram') return name === family
  return [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name)
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (let rest = text; rest !== '';) {
    const match = LABEL.exec(rest)
    if (!match) throw new Error(`not labels: ${text}`)
    if (match[1] in labels) throw new Error(`label ${match[1]} comes twice`)
    labels[match[1]] = match[2].replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
    rest = rest.slice(match[0].length)
  }
  return labels
}

function parseNumber(text: string): number {
  if (text === '+Inf') return Infinity
  if (text === '-Inf') return -Infinity
  if (text !== 'NaN' && !/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw new Error(`not a number: ${text}`)
  return Number(text)
}

function checkFamily({ name, help, type, samples }: Family): void {
  if (help === '' || type === '') throw new Error(`${name} lacks help or type`)
  if (type === 'counter' && samples.some(({ value }) => value < 0)) throw new Error(`${name} is below zero`)
  if (type !== 'histogram') return
  let last = -1
  for (const { name: sample, labels, value } of samples) {
    if (sample !== `${name}_bucket`) last = -1
    else if (value < last) throw new Error(`the buckets of ${name} shrink`)
    else last = labels.le === '+Inf' ? -1 : value
  }
}
