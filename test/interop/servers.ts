import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves when somebody answers at a URL, whatever it is. */
export async function answers(url: string, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`)
    try {
      await fetch(url)
      return
    } catch {
      await sleep(50)
    }
  }
}
