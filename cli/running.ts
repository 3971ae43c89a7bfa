import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { askRunning } from '../core/control/client.js'
import { isError } from '../core/errors.js'
import { stateFolder } from '../core/state-folder.js'

export interface RunningRequest {
  command: string
  /** Name of a database, or path of its file. */
  database: string
  stateDir: string | undefined
  options?: Readonly<Record<string, unknown>>
  signal?: AbortSignal
}

/** What the walrust process that watches a database says to a request; `undefined` if there is none. */
export async function askWatcher<T>(request: RunningRequest): Promise<T | undefined> {
  const { command, stateDir, options, signal } = request
  const path = isFile(request.database) ? resolve(request.database) : undefined
  // A name does not say where the file is: every process that listens nearby is asked.
  const folders = path === undefined ? stateFolders(stateDir) : [stateFolder(path, stateDir)]
  for (const folder of folders) {
    try {
      const answer = await askRunning(folder, { command, database: path ?? request.database, options }, signal)
      if (answer) return answer.result as T
    } catch (error) {
      if (!isError(error, 'E_NOT_WATCHED')) throw error
    }
  }
  return undefined
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

/** State folders of databases here, or under the directory that was given for state. */
function stateFolders(stateDir: string | undefined): string[] {
  const [parent, named] = stateDir === undefined ? ['.', /^\..+-walrust$/] : [stateDir, /-[0-9a-f]{12}$/]
  try {
    return readdirSync(parent)
      .filter((name) => named.test(name))
      .map((name) => join(parent, name))
  } catch {
    return []
  }
}
