import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path'
import { looksLikeDatabase } from './database/database-file.js'
import { WalrustError } from './errors.js'
import { checkName } from './object-keys.js'

/** What databases are looked for by: a path, folder or pattern, and how they are called. */
export interface DatabasePlace {
  readonly path: string
  /** Name in storage, or a template for one (see {@link nameFrom}); by default it is made from the path. */
  readonly name: string | undefined
}

/** A database that was named or found. */
export interface FoundDatabase<Place extends DatabasePlace = DatabasePlace> {
  name: string
  /** Absolute path. */
  path: string
  /** Whether it was found by a pattern or in a folder, and not named by itself. */
  found: boolean
  /** By what it was found. */
  place: Place
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
 * @param known what was found the last time, by path, with the file that is there: not looked at again, and brought up
 * to date, for those who ask every few seconds
 */
export async function discover<Place extends DatabasePlace>(
  places: readonly Place[],
  ignored: readonly string[] = [],
  known = new Map<string, string>(),
): Promise<Array<FoundDatabase<Place>>> {
  const all: Array<FoundDatabase<Place>> = []
  for (const place of places) {
    const { path: source } = place
    const many = !isNamed(place)
    const found = many ? await find(source, ignored, known) : [{ path: resolve(source), below: basename(source) }]
    for (const { path, below } of found) all.push({ name: nameFrom(place.name, path, below), path, found: many, place })
  }
  for (const { name } of all) checkName(name)
  return unique(all, known)
}

/**
 * The name of a database. A template may hold `{name}` (its file name without extension), `{folder}` (the name of the
 * folder it is in) and `{path}` (its path below the fixed part of the pattern, without extension, which is the default).
 */
function nameFrom(template: string | undefined, path: string, below: string): string {
  const withoutExtension = (text: string) => text.slice(0, text.length - extname(text).length)
  const values: Readonly<Record<string, string>> = {
    name: basename(path, extname(path)),
    folder: basename(dirname(path)),
    path: withoutExtension(below),
  }
  return (template ?? '{path}').replace(/\{(name|folder|path)\}/g, (_all, key: string) => values[key])
}

/** Whether a place stands for one file, which it names, and not for what there is in a folder or of a pattern. */
export function isNamed({ path }: DatabasePlace): boolean {
  return !isPattern(path) && !isFolder(path)
}

/** Whether a text has anything in it that a file name would not: then it is a pattern, unless a file is called that. */
function isPattern(source: string): boolean {
  return /[*?[\]{}()!]/.test(source) && !existsSync(source)
}

/** Databases that a folder or pattern stands for, and where they are below its fixed part. */
async function find(
  source: string,
  ignored: readonly string[],
  known: ReadonlyMap<string, string>,
): Promise<Array<{ path: string; below: string }>> {
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
    .filter((name) => !NOT_DATABASES.test(name))
    .sort()
    .map((below) => ({ path: join(root, below), below }))
    .filter(({ path }) => known.has(path) || looksLikeDatabase(path))
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
function unique<Place extends DatabasePlace>(
  all: ReadonlyArray<FoundDatabase<Place>>,
  known: Map<string, string>,
): Array<FoundDatabase<Place>> {
  const byFile = new Map<string, FoundDatabase<Place>>()
  const files = new Map<string, string>()
  for (const database of all) {
    const key = known.get(database.path) ?? identity(database.path)
    // One that was named may not be there yet: then it has no other key than its path.
    if (database.found || key !== database.path) files.set(database.path, key)
    const other = byFile.get(key)
    if (!other || (other.found && !database.found)) byFile.set(key, database)
  }
  known.clear()
  for (const [path, file] of files) known.set(path, file)
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
