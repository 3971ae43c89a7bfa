import assert from 'node:assert/strict'

/** More than anything that looks at what storage says may take in buffers and objects, in bytes. */
const LIMIT = 64 * 1024 * 1024

/** Does something and fails if it has taken more memory than it may, at any time. */
export async function bounded(work: () => Promise<unknown>): Promise<void> {
  const before = process.memoryUsage()
  let most = 0
  const look = () => {
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    most = Math.max(most, arrayBuffers + heapUsed - before.arrayBuffers - before.heapUsed)
  }
  const timer = setInterval(look, 5)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  look()
  assert.ok(most < LIMIT, `${most} bytes`)
}
