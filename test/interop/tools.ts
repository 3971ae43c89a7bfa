import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { repositoryPath } from '../helpers/ltx.js'

/** The programs that scripts/interop-tools.sh installs, and the variables that name others instead. */
const variables = {
  ltx: 'WALRUST_LTX_TOOL',
  ltxgen: 'WALRUST_LTXGEN',
  litestream: 'WALRUST_LITESTREAM',
  'litestream-frames': 'WALRUST_LITESTREAM_FRAMES',
  versitygw: 'WALRUST_VERSITYGW',
  'fake-gcs-server': 'WALRUST_FAKE_GCS_SERVER',
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

/** What a tool prints. Fails with all that it says if it exits with anything but 0. */
export function run(name: keyof typeof variables, ...args: string[]): string {
  return runWith({}, name, ...args)
}

/** The environment of a tool, with these variables. Litestream does not start where `AWS_CA_BUNDLE` is set. */
export function toolEnvironment(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...process.env, AWS_CA_BUNDLE: undefined, ...env }
}

/** {@link run} with variables of its own. */
export function runWith(
  env: Readonly<Record<string, string>>,
  name: keyof typeof variables,
  ...args: string[]
): string {
  const options = { encoding: 'utf8', maxBuffer: 1 << 28, env: toolEnvironment(env) } as const
  const { status, error, stdout, stderr } = spawnSync(tool(name), args, options)
  if (error) throw error
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: exit ${String(status)}\n${stdout}${stderr}`)
  return stdout.trim()
}
