import { join } from 'node:path'
import type { Plugin } from '../../core/index.js'
import { ShadowLog } from './shadow-log.js'

/**
 * Keeps committed frames in the state directory when the WAL is to be restarted, so that checkpoints never wait for
 * encoding or storage. Without it the WAL itself stays until its frames are in the spool.
 */
export function shadowWal(): Plugin {
  const name = 'walrust:shadow-wal'
  return {
    name,
    apply({ hooks }) {
      const logs = new Map<string, ShadowLog>()
      hooks.frameRead.tap(name, ({ reason, database, since, wal }) => {
        let log = logs.get(database.stateDir)
        if (!log) {
          log = new ShadowLog(join(database.stateDir, 'shadow'))
          logs.set(database.stateDir, log)
        }
        if (reason === 'recover') log.load()
        if (reason === 'release' && wal) log.add(wal, since)
        return log.batch(reason === 'ship' ? wal : undefined)
      })
    },
  }
}
