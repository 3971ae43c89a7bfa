import type { Command } from 'commander'
import { basename, extname, resolve } from 'node:path'
import { checkSqliteVersion } from '../../core/database/connection.js'
import { Engine } from '../../core/engine.js'
import { shadowWal } from '../../plugins/shadow-wal/index.js'
import { createContext, openStorage, print } from '../context.js'
import { settingsOf } from './watch.js'

interface SnapshotOptions {
  bucket?: string
  stateDir?: string
  adopt?: boolean
}

export function snapshotCommand(program: Command): void {
  program
    .command('snapshot')
    .description('store the whole database now')
    .argument('<database>', 'file')
    .option('-b, --bucket <url>', 'where to')
    .option('--state-dir <folder>', 'where walrust keeps its state (default: beside the database)')
    .option('--adopt', 'go on with a backup that this machine did not write last')
    .action(async (path: string, options: SnapshotOptions, command: Command) => {
      const context = createContext(command)
      const { host, log } = context
      checkSqliteVersion()
      host.use(shadowWal())
      const store = await openStorage(context, options.bucket)
      await host.check([store])
      const name = basename(path, extname(path))
      const settings = { ...settingsOf(options), giveUp: true }
      const engine = new Engine({ host, log, uploadConcurrency: 4 })
      try {
        await engine.add({ name, path: resolve(path), stores: [store], settings })
        const txid = await engine.snapshot(name)
        print(context, { database: name, storage: store.url, txid }, () => `${name}: snapshot of transaction ${txid}`)
      } finally {
        await engine.close(settings.resilience.maxDelay)
        await host.stop()
      }
    })
}
