import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { LoadOptions } from '../core/config/load.js'
import { type PackedError, unpackError } from '../core/error-transfer.js'
import { WalrustError } from '../core/errors.js'
import type { Proof } from '../core/verify/prove.js'
import type { Validate, ValidationRequest } from '../core/verify/validator.js'

const PROGRAM = fileURLToPath(new URL('validate-process.js', import.meta.url))

/** How the process that proves comes to the plugins that this one has. */
export type ProofLoad = Pick<LoadOptions, 'cwd' | 'file' | 'config'>

export interface ProofQuestion {
  load: ProofLoad
  request: ValidationRequest
}

export type ProofAnswer = { proof: Proof } | { error: PackedError }

/**
 * Proves a backup in a short-lived process: reading it takes up to some hundred megabytes and all of a processor, which
 * a `watch` must not hold for the months it runs.
 */
export function validateApart(load: ProofLoad): Validate {
  return async (request, signal) => {
    signal.throwIfAborted()
    const child = fork(PROGRAM, [], {
      cwd: load.cwd,
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const ended = once(child, 'exit').catch(() => undefined)
    const kill = () => child.kill('SIGKILL')
    signal.addEventListener('abort', kill, { once: true })
    try {
      const answered = new Promise<ProofAnswer>((resolve, reject) => {
        child.once('message', (answer) => resolve(answer as ProofAnswer))
        child.once('error', reject)
        child.once('exit', (code, by) => reject(gone(by ?? `code ${code}`)))
      })
      child.send({ load, request } satisfies ProofQuestion, () => undefined)
      const answer = await answered
      if ('error' in answer) throw unpackError(answer.error)
      return answer.proof
    } finally {
      signal.removeEventListener('abort', kill)
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
        kill()
        await ended
      }
    }
  }
}

function gone(how: string): WalrustError {
  return new WalrustError('E_INTERNAL', `the process that validates a backup ended (${how})`)
}
