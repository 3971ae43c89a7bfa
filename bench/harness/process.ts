import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

/** What the kernel says of a process. */
export interface Usage {
  /** Most memory it ever had resident, MiB. */
  peakMiB: number
  residentMiB: number
  /** Seconds of processor time, user and system. */
  cpu: number
  /** Bytes that went through its read and write calls. */
  read: number
  written: number
}

const KIB = 1024
/** Clock ticks a second in /proc/PID/stat, the same on every Linux that Node runs on. */
const TICKS = 100

export function usageOf(pid: number): Usage {
  const field = (text: string, name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const io = readFileSync(`/proc/${pid}/io`, 'utf8')
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in brackets may hold spaces; utime and stime are the 12th and 13th fields behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {
    peakMiB: (field(status, 'VmHWM') * KIB) / 2 ** 20,
    residentMiB: (field(status, 'VmRSS') * KIB) / 2 ** 20,
    cpu: (Number(fields[11]) + Number(fields[12])) / TICKS,
    read: field(io, 'rchar'),
    written: field(io, 'wchar'),
  }
}

/** A process that is measured. */
export class Measured {
  readonly child: ChildProcess
  readonly #exit: Promise<number>
  output = ''
  log = ''

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.child.stdout?.on('data', (data: Buffer) => (this.output += data.toString()))
    this.child.stderr?.on('data', (data: Buffer) => (this.log += data.toString()))
    this.#exit = once(this.child, 'close').then(([code]) => (code as number | null) ?? 128)
  }

  get usage(): Usage {
    return usageOf(this.child.pid ?? 0)
  }

  get exit(): Promise<number> {
    return this.#exit
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.child.kill(signal)
    return await this.#exit
  }
}

/** Runs a command to its end. Throws if it fails. */
export async function run(
  command: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<{ output: string; seconds: number; peakMiB: number }> {
  const start = performance.now()
  const child = new Measured(command, args, env)
  let peakMiB = 0
  // The kernel forgets a process when it has ended, so its peak is asked for all the time.
  const timer = setInterval(() => {
    try {
      peakMiB = Math.max(peakMiB, child.usage.peakMiB)
    } catch {
      // It has just ended.
    }
  }, 20)
  const code = await child.exit
  clearInterval(timer)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${child.output}${child.log}`)
  return { output: child.output, seconds: (performance.now() - start) / 1000, peakMiB }
}
