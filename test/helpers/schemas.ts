import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Ajv, type ValidateFunction } from 'ajv'

const FOLDER = new URL('../../../schemas/', import.meta.url)

export function readSchema(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(path, FOLDER), 'utf8')) as Record<string, unknown>
}

const compiled = new Map<string, ValidateFunction>()

/** Fails unless a value is what the schema of that path (below `schemas/`) says. */
export function assertMatches(path: string, value: unknown): void {
  let validate = compiled.get(path)
  if (!validate) {
    const ajv = new Ajv({ allErrors: true, allowUnionTypes: true })
    ajv.addKeyword('tsType')
    ajv.addFormat('date-time', (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text))
    validate = ajv.compile(readSchema(path))
    compiled.set(path, validate)
  }
  if (!validate(value)) {
    assert.fail(`not as ${path} says: ${JSON.stringify(validate.errors, null, 2)}\n${JSON.stringify(value, null, 2)}`)
  }
}
