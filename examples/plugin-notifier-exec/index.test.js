import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { notifierCases } from 'walrust/testing'
import notifierExec from './index.js'

describe('walrust-plugin-notifier-exec', () => {
  const cases = notifierCases({
    open() {
      const folder = mkdtempSync(join(tmpdir(), 'exec-'))
      const file = join(folder, 'events')
      writeFileSync(file, '')
      return {
        plugin: notifierExec({ command: ['/bin/sh', '-c', 'cat >> "$0"; echo >> "$0"', file] }),
        received: () =>
          readFileSync(file, 'utf8')
            .split('\n')
            .filter(Boolean)
            .map((line) => JSON.parse(line)),
        close: () => rmSync(folder, { recursive: true }),
      }
    },
    openUnreachable: () => ({ plugin: notifierExec({ command: ['/nowhere'] }), received: () => [] }),
  })
  for (const { name, run } of cases) it(name, run)
})
