import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, extname, join, relative, resolve, sep } from 'node:path'
import { looksLikeDatabase } from './database/database-file.js'
import { WalrustError } from './errors.js'
import { checkName } from './object-keys.js'

/** A database that was named or found. */
export interface FoundDatabase {
  name: string
  /** Absolute path. */
  path: string
  /** Whether it was found by a pattern or in a folder, and not named by itself. */
  found: boolean
}

/** Files beside databases, and folders of ours. */
const NOT_DATABASES = /(-wal|-shm|-journal)$/
const OUR_FOLDERS = ['**/.*-walrust/**', '**/node_modules/**', '**/.git/**']

/**
 * Finds the databases that paths, patterns and folders stand for. A path by itself is taken as it is, whether it exists
 * or not; from patterns and folders only what is an SQLite database counts.
 *
 * A named file is called by its file name without extension; a found one by its path below the fixed part of the
 * pattern, without extension: `tenants/…/app.db` finds `42/app`.
 *
 * @param ignored folders not to look into, such as the one where backups lie
 */
export async function discover(sources: readonly string[], ignored: readonly string[] = []): Promise<FoundDatabase[]> {
  const all: FoundDatabase[] = []
  for (const source of sources) {
    if (!isPattern(source) && !isFolder(source)) {
      const path = resolve(source)
      all.push({ name: basename(path, extname(path)), path, found: false })
    } else {
      all.push(...(await find(source, ignored)))
    }
  }
  for (const { name } of all) checkName(name)
  return unique(all)
}

/** Whether a text has anything in it that a file name would not: then it is a pattern, unless a file is called that. */
function isPattern(source: string): boolean {
  return /[*?[\]{}()!]/.test(source) && !existsSync(source)
}

async function find(source: string, ignored: readonly string[]): Promise<FoundDatabase[]> {
  // Loaded only for those who use patterns: it stays in memory for as long as the process runs.
  const { escapePath, glob } = await import('tinyglobby')
  const folder = isFolder(source)
  const root = resolve(folder ? source : fixedPart(source))
  const pattern = folder ? '**/*' : relative(root, resolve(source)).split(sep).join('/')
  const skipped = ignored
    .map((path) => relative(root, path).split(sep).join('/'))
    .filter((path) => !path.startsWith('..'))
  const ignore = [...OUR_FOLDERS, ...skipped.map((path) => `${escapePath(path)}/**`)]
  const names = await glob(pattern, { cwd: root, dot: false, onlyFiles: true, ignore })
  return names
    .filter((name) => !NOT_DATABASES.test(name) && looksLikeDatabase(join(root, name)))
    .sort()
    .map((name) => ({ name: name.slice(0, name.length - extname(name).length), path: join(root, name), found: true }))
}

/** The folders of a pattern before the first part with a wildcard in it. */
function fixedPart(pattern: string): string {
  const parts = pattern.split('/')
  const wild = parts.findIndex((part) => isPattern(part))
  return parts.slice(0, wild).join('/') || (pattern.startsWith('/') ? '/' : '.')
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** One file once, however many ways lead to it; one named by itself keeps that name. */
function unique(all: readonly FoundDatabase[]): FoundDatabase[] {
  const byFile = new Map<string, FoundDatabase>()
  for (const database of all) {
    const key = identity(database.path)
    const known = byFile.get(key)
    if (!known || (known.found && !database.found)) byFile.set(key, database)
  }
  return [...byFile.values()]
}

function identity(path: string): string {
  try {
    const { dev, ino } = statSync(realpathSync(path), { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return path
  }
}

/** Throws `E_DUPLICATE_NAME` if two databases would be stored under one name. */
export function checkNames(databases: readonly FoundDatabase[]): void {
  const seen = new Map<string, string>()
  for (const { name, path } of databases) {
    const other = seen.get(name)
    if (other !== undefined) {
      throw new WalrustError('E_DUPLICATE_NAME', `${other} and ${path} would both be stored as ${name}`)
    }
    seen.set(name, path)
  }
}
