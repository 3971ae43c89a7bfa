import { statfs } from 'node:fs/promises'

/** Of file systems on a disk of this machine, or in its memory, the numbers that Linux gives them: statfs(2). */
const LOCAL: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
  0x01021994, // tmpfs
  0x794c7630, // overlayfs
])

/**
 * Whether a folder lies where a question takes less time than having another thread ask it. What is reached over a network,
 * or made by a program, may not answer for ever, and whoever waits for that must be able to give up; nor is anything else
 * taken for local than what is known to be.
 */
export async function isLocalDisk(folder: string): Promise<boolean> {
  if (process.platform !== 'linux') return false
  try {
    return LOCAL.has((await statfs(folder)).type)
  } catch {
    return false
  }
}
