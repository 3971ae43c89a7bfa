import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Host } from '../core/host.js'
import type { Log } from '../core/log.js'
import type { Plugin } from '../core/plugin.js'

/** What a plugin under test has logged, one line each, with its fields as JSON. */
export class TestLog implements Log {
  readonly lines: string[] = []
  readonly debug = this.#taker('debug')
  readonly info = this.#taker('info')
  readonly warn = this.#taker('warn')
  readonly error = this.#taker('error')

  #taker(level: string): Log['info'] {
    return (message, fields = {}) => void this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  }
}

/** A host with nothing in it but what walrust itself taps and this plugin. */
export function hostOf(plugin: Plugin, log: Log = new TestLog()): Host {
  const host = new Host(log)
  host.use(plugin)
  return host
}

/** A database that does not exist: for payloads of hooks whose taps have no business with the file. */
export function someDatabase(name = 'conformance'): { name: string; path: string; stateDir: string } {
  const folder = join(tmpdir(), `walrust-${randomBytes(6).toString('hex')}`)
  return { name, path: join(folder, `${name}.db`), stateDir: folder }
}
