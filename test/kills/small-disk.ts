import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A small file system in memory that can be filled up and made read-only. Needs root. */
export class SmallDisk {
  private constructor(readonly path: string) {}

  /** Mounts one; `undefined` where that is not allowed. */
  static mount(path: string, megabytes: number): SmallDisk | undefined {
    mkdirSync(path, { recursive: true })
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], { stdio: 'ignore' })
      return new SmallDisk(path)
    } catch {
      return undefined
    }
  }

  /** Leaves no room. */
  fill(): void {
    const ballast = join(this.path, 'ballast')
    for (const size of [1024 * 1024, 4096]) {
      const piece = Buffer.alloc(size)
      try {
        for (;;) writeFileSync(ballast, piece, { flag: 'a' })
      } catch {
        // Full; the last write may have got half way.
      }
    }
  }

  empty(): void {
    rmSync(join(this.path, 'ballast'), { force: true })
  }

  /** Lets nobody write, or lets them again. False where the file system refuses, because somebody writes just now. */
  readOnly(on: boolean): boolean {
    try {
      execFileSync('mount', ['-o', `remount,${on ? 'ro' : 'rw'}`, this.path], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  }

  unmount(): void {
    execFileSync('umount', ['-l', this.path], { stdio: 'ignore' })
  }
}
