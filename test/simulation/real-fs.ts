import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'

/** The file system as it is, whatever is wrapped later: what the world around the engine uses. Loaded first. */
export const realFs = Object.freeze(
  // A namespace's bindings change when somebody wraps the functions, the values copied here do not.
  { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync },
)
