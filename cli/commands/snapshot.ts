import type { Command } from 'commander'
import { Service } from '../../core/service.js'
import { configFromFlags, type Flags } from '../config.js'
import { createContext, DEFAULT_STORAGE, print } from '../context.js'

export function snapshotCommand(program: Command): void {
  program
    .command('snapshot')
    .description('store the whole database now')
    .argument('<database>', 'file')
    .option('-b, --bucket <url>', 'where to')
    .option('--state-dir <folder>', 'where walrust keeps its state (default: beside the database)')
    .option('--adopt', 'go on with a backup that this machine did not write last')
    .action(async (path: string, options: Flags, command: Command) => {
      const config = configFromFlags([path], options, true)
      const context = createContext(command, config)
      const { host, log } = context
      if (options.bucket === undefined) log.info('no storage was given', { using: DEFAULT_STORAGE })
      const service = new Service({ config, host, log })
      try {
        await service.start()
        const [name] = service.names
        const txid = await service.snapshot(name)
        const [{ storages }] = config.databases
        print(
          context,
          { database: name, storage: storages[0].url, txid },
          () => `${name}: snapshot of transaction ${txid}`,
        )
      } finally {
        await service.close()
      }
    })
}
