import type { Command } from 'commander'
import { formatSize } from '../../core/config/units.js'
import { EXIT } from '../../core/errors.js'
import { Remote } from '../../core/remote.js'
import { verify } from '../../core/restore/verify.js'
import { createContext, openStorage, print } from '../context.js'
import { withProgress } from '../progress.js'

export function verifyCommand(program: Command): void {
  program
    .command('verify')
    .description('prove that a backup is complete')
    .argument('<name>', 'name of the database in storage')
    .option('-b, --bucket <url>', 'where it is')
    .action(async (name: string, options: { bucket?: string }, command: Command) => {
      const context = createContext(command)
      const remote = new Remote(await openStorage(context, options.bucket), name, context.host.hooks)
      const result = await withProgress('verifying', (progress) =>
        verify(remote, { progress: (done, of) => progress({ done, of }) }),
      )
      const { findings, files, bytes, txid } = result
      print(context, { ok: findings.length === 0, ...result }, () => {
        if (findings.length === 0) {
          return `${name}: ${files} files (${formatSize(bytes)}) are whole and continue each other up to transaction ${txid}.`
        }
        const lines = findings.map(
          ({ kind, file, message }) => `  ${kind}: ${file === undefined ? '' : `${file}: `}${message}`,
        )
        return [`${name}: ${findings.length} problem${findings.length === 1 ? '' : 's'} found`, ...lines].join('\n')
      })
      const nothing = findings.some(({ kind }) => kind === 'nothing-found')
      if (findings.length > 0) process.exitCode = nothing ? EXIT.restore : EXIT.integrity
      await context.host.stop()
    })
}
