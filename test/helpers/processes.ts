import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

/** A line of the log, in JSON. */
export interface LogLine {
  time: string
  level: string
  message: string
  [field: string]: unknown
}

/** A walrust process under test. */
export class WalrustProcess {
  readonly child: ChildProcess
  readonly lines: LogLine[] = []
  stdout = ''
  #waiting: Array<{
    test: (line: LogLine) => boolean
    resolve: (line: LogLine) => void
    reject: (error: Error) => void
  }> = []
  readonly #exit: Promise<number>

  /** @param options `through`: a command that runs the one that follows it, such as a shell with `exec "$@"` */
  constructor(
    args: readonly string[],
    options: { env?: NodeJS.ProcessEnv; cwd?: string; through?: readonly string[] } = {},
  ) {
    const [command, ...rest] = [...(options.through ?? []), process.execPath, CLI, '--log-format', 'json', ...args]
    this.child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      cwd: options.cwd,
    })
    this.child.stdout?.on('data', (data: Buffer) => (this.stdout += data.toString()))
    if (this.child.stderr) createInterface(this.child.stderr).on('line', (line) => this.#take(line))
    this.#exit = once(this.child, 'close').then(([code, signal]) => {
      for (const { reject } of this.#waiting) {
        reject(new Error(`walrust ended (${String(code ?? signal)}) before the line came:\n${this.tail()}`))
      }
      return (code as number | null) ?? 128
    })
  }

  /** Resolves with the exit code; 128 for a signal. */
  get exit(): Promise<number> {
    return this.#exit
  }

  /** The last lines of the log, for messages. */
  tail(count = 12): string {
    return this.lines
      .slice(-count)
      .map((line) => JSON.stringify(line))
      .join('\n')
  }

  /** Resolves with the first line, past or future, that passes the test. */
  line(test: ((line: LogLine) => boolean) | string): Promise<LogLine> {
    const matches = typeof test === 'string' ? (line: LogLine) => line.message === test : test
    const past = this.lines.find(matches)
    if (past) return Promise.resolve(past)
    return new Promise((resolve, reject) => this.#waiting.push({ test: matches, resolve, reject }))
  }

  /** Everything that was reported as shipped, by transaction. */
  get shipped(): Array<{ txid: number; checksum: string; bytes: number }> {
    return this.lines
      .filter(({ message }) => message === 'shipped')
      .map(({ txid, checksum, bytes }) => ({ txid: Number(txid), checksum: String(checksum), bytes: Number(bytes) }))
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number> {
    this.child.kill(signal)
    return await this.#exit
  }

  #take(text: string): void {
    let line: LogLine
    try {
      line = JSON.parse(text) as LogLine
    } catch {
      line = { time: '', level: 'text', message: text }
    }
    this.lines.push(line)
    this.#waiting = this.#waiting.filter(({ test, resolve }) => {
      if (!test(line)) return true
      resolve(line)
      return false
    })
  }
}

/** Runs walrust to its end. */
export async function walrust(
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<{ code: number; stdout: string; lines: LogLine[]; text: string }> {
  const run = new WalrustProcess(args, options)
  const code = await run.exit
  return { code, stdout: run.stdout, lines: run.lines, text: run.lines.map(({ message }) => message).join('\n') }
}

/** Runs walrust to its end with nothing added to its arguments. Gives everything that it says. */
export async function runCli(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, output }
}

/** A helper program of ours as a process. Its last line of output is its report. */
export class HelperProcess<T> {
  readonly child: ChildProcess
  output = ''
  readonly #exit: Promise<unknown>

  constructor(name: 'writer' | 'truncator' | 'bank' | 'auditor' | 'restorer', options: object) {
    const file = fileURLToPath(new URL(`./${name}.js`, import.meta.url))
    this.child = spawn(process.execPath, [file, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child.stdout?.on('data', (data: Buffer) => (this.output += data.toString()))
    this.#exit = once(this.child, 'close')
  }

  async report(): Promise<T> {
    await this.#exit
    return JSON.parse(this.output.trim().split('\n').at(-1) ?? '') as T
  }

  /** Ends the input of a helper that goes on until then. */
  async end(): Promise<T> {
    this.child.stdin?.end()
    return await this.report()
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#exit
  }
}
