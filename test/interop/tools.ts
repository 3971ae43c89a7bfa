import { accessSync, constants } from 'node:fs'
import { repositoryPath } from '../helpers/ltx.js'

/** The programs that scripts/interop-tools.sh installs, and the variables that name others instead. */
const variables = {
  ltx: 'WALRUST_LTX_TOOL',
  ltxgen: 'WALRUST_LTXGEN',
  litestream: 'WALRUST_LITESTREAM',
  'litestream-frames': 'WALRUST_LITESTREAM_FRAMES',
} as const

/** Where a tool is. One that is missing is a failure: a suite that skips itself proves nothing. */
export function tool(name: keyof typeof variables): string {
  const path = process.env[variables[name]] ?? repositoryPath(`.tmp/tools/bin/${name}`)
  try {
    accessSync(path, constants.X_OK)
  } catch {
    throw new Error(`${name} is not there: run scripts/interop-tools.sh, or set ${variables[name]}`)
  }
  return path
}
