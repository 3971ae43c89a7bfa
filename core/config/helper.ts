import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { WalrustError } from '../errors.js'

/** What the helper can be asked for. */
export interface HelperRequests {
  /** Finds the configuration of a folder, or reads the file named. */
  find: { request: { folder: string; file?: string }; answer: FoundConfig | undefined }
  /** Makes one JavaScript module of a file or package and everything of the user's that it imports. */
  compile: { request: { specifier: string; folder: string }; answer: { code: string } }
  /** Holds a value against a JSON schema: one given, or one of a built-in plugin by its name. */
  validate: {
    request: { value: unknown; schema?: unknown; builtIn?: string }
    /** `secrets`: texts in the value that the schema marks as such. */
    answer: { errors: unknown[]; schema: unknown; secrets: string[] }
  }
}

export interface FoundConfig {
  file: string
  /** What is in it, if it is data; a module has to be imported. */
  data?: unknown
  module: boolean
}

export type HelperRequest = {
  [Kind in keyof HelperRequests]: { id: number; kind: Kind } & HelperRequests[Kind]['request']
}[keyof HelperRequests]

export interface HelperAnswer {
  id: number
  answer?: unknown
  /** Why there is none, for people. */
  problem?: string
}

/** The helper could not do what it was asked for, because of what is in the file. */
export class HelperProblem extends Error {}

/**
 * A short-lived process with everything in it that reading a configuration takes and running one does not: finding
 * files, YAML, a TypeScript compiler, a schema validator. `watch` runs for months; what it loads once it carries all the
 * time. Started at the first question.
 */
export class ConfigHelper {
  #child: ChildProcess | undefined
  #last = 0
  readonly #waiting = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>()

  async ask<Kind extends keyof HelperRequests>(
    kind: Kind,
    request: HelperRequests[Kind]['request'],
  ): Promise<HelperRequests[Kind]['answer']> {
    const child = (this.#child ??= this.#start())
    const id = ++this.#last
    return await new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject })
      child.send({ id, kind, ...request }, (error) => {
        if (error) this.#fail(error)
      })
    })
  }

  close(): void {
    this.#child?.removeAllListeners()
    this.#child?.kill('SIGKILL')
    this.#child = undefined
  }

  #start(): ChildProcess {
    const child = fork(fileURLToPath(new URL('helper-process.js', import.meta.url)), [], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.on('message', ({ id, answer, problem }: HelperAnswer) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (problem === undefined) waiting?.resolve(answer)
      else waiting?.reject(new HelperProblem(problem))
    })
    child.on('error', (error) => this.#fail(error))
    child.on('exit', (code, signal) => this.#fail(new Error(`it ended with ${signal ?? code}`)))
    return child
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) {
      reject(new WalrustError('E_INTERNAL', `the process that reads configurations failed: ${error.message}`))
    }
    this.#waiting.clear()
    this.#child = undefined
  }
}
