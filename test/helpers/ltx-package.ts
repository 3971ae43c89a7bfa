import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryPath } from './ltx.js'

/** Reports every module that is loaded from a file. */
const LIST = `import { register } from 'node:module'
const hook = 'export async function load(url, context, next) { if (url.startsWith("file:")) process._rawDebug("loads " + url); return await next(url, context) }'
register('data:text/javascript,' + encodeURIComponent(hook))
`

/**
 * Merges LTX files with the example package, in a project that has walrust as npm would leave it.
 *
 * @param how `list` tells of every module that is loaded
 */
export function mergeAsPackage(
  folder: string,
  target: string,
  sources: readonly string[],
  how?: 'list',
): { status: number | null; output: string } {
  const project = join(folder, 'project')
  mkdirSync(join(project, 'node_modules'), { recursive: true })
  cpSync(repositoryPath('examples/ltx-merge'), project, { recursive: true })
  try {
    symlinkSync(repositoryPath('.'), join(project, 'node_modules', 'walrust'))
  } catch {
    // It is there from the last time.
  }
  writeFileSync(join(project, 'list.mjs'), LIST)
  const watching = how === 'list' ? ['--import', join(project, 'list.mjs')] : []
  const { status, stdout, stderr } = spawnSync(process.execPath, [...watching, 'merge.js', target, ...sources], {
    cwd: project,
    encoding: 'utf8',
  })
  return { status, output: stdout + stderr }
}
