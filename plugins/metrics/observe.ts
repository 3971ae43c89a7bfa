import type { Tap } from 'tapable'
import type { HookName, ObjectInfo, PluginHost, UploadRequest, WalrustEvent } from '../../core/index.js'
import { ERROR_EVENTS, type Instruments } from './instruments.js'

type Fn = (...args: unknown[]) => Promise<unknown>

/**
 * Measures by wrapping the taps of every hook, whoever adds them: stages and stores count nothing themselves. Loses
 * nothing that happens before `instruments` are there: hooks are called only once the engine runs.
 */
export function observe(
  host: PluginHost,
  instruments: () => Instruments | undefined,
  onEvent: (event: WalrustEvent) => void,
  onShipped: (database: string, bytes: number) => void,
): void {
  for (const name of Object.keys(host.hooks) as HookName[]) {
    const register = (tap: Tap) => {
      const { fn } = tap as unknown as { fn: Fn }
      return {
        ...tap,
        type: 'promise',
        fn: name === 'upload' ? timed(fn, tap.name, instruments, onShipped) : counted(fn, name, tap.name, instruments),
      }
    }
    ;(host.hooks[name] as { intercept(interceptor: object): void }).intercept({ name: 'walrust:metrics', register })
  }
  host.hooks.notify.intercept({
    name: 'walrust:metrics',
    call: (event: WalrustEvent) => {
      const measured = instruments()
      if (measured) note(measured, event)
      onEvent(event)
    },
  })
  host.onCheckpoint((database, { kind, duration, locked }) => {
    const measured = instruments()
    if (!measured) return
    measured.checkpoints.inc({ type: kind })
    if (kind !== 'foreign') measured.checkpointTime.observe(duration / 1000)
    if (locked > 0) measured.lockTime.observe({ database }, locked / 1000)
  })
}

function note({ events, errors, snapshots, heals }: Instruments, { event, database }: WalrustEvent): void {
  events.inc({ database, event })
  if (ERROR_EVENTS.has(event)) errors.inc({ database })
  if (event === 'snapshot_completed') snapshots.inc({ database })
  if (event === 'gap_healed') heals.inc({ database })
}

function counted(fn: Fn, hook: HookName, plugin: string, instruments: () => Instruments | undefined): Fn {
  return async (...args) => {
    try {
      return await fn(...args)
    } catch (error) {
      instruments()?.hookFailures.inc({ hook, plugin })
      throw error
    }
  }
}

/** An upload: what it brought, how long the newest commit in it had waited, and whether it is another attempt. */
function timed(
  fn: Fn,
  plugin: string,
  instruments: () => Instruments | undefined,
  onShipped: (database: string, bytes: number) => void,
): Fn {
  /** The file that failed last, by database: the same one again is another attempt. */
  const failed = new Map<string, string>()
  return async (request) => {
    const { database, store, key, file, timestamp } = request as UploadRequest
    const labels = { database: database.name, storage: store.url }
    const before = `${database.name}\n${store.url}`
    let stored: ObjectInfo | undefined
    try {
      if (failed.get(before) === key) instruments()?.retries.inc({ operation: 'upload' })
      failed.delete(before)
      stored = (await fn(request)) as ObjectInfo | undefined
    } catch (error) {
      failed.set(before, key)
      instruments()?.hookFailures.inc({ hook: 'upload', plugin })
      throw error
    }
    if (stored) onShipped(database.name, stored.size)
    const measured = instruments()
    if (!stored || !measured) return stored
    measured.bytes.inc(labels, stored.size)
    measured.uploads.inc(labels)
    if (file.level === 0)
      measured.latency.observe({ database: database.name }, Math.max(0, Date.now() - timestamp) / 1000)
    return stored
  }
}
