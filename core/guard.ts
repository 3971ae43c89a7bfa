import type { HookInterceptor, Tap } from 'tapable'
import { messageOf, WalrustError } from './errors.js'
import { HOOK_POLICIES, type HookName, type Hooks } from './hooks.js'

/** Hooks whose taps hand a value on: nothing coming back is a mistake that tapable would swallow. */
const WATERFALLS: ReadonlySet<HookName> = new Set(['pageDedup', 'encode', 'decode', 'retain'])

type FullTap = Tap & { type: 'sync' | 'async' | 'promise'; fn: (...args: unknown[]) => unknown; name: string }

/** Told of every failure in a hook whose policy is `count`, where nobody else hears of it. */
export type FailureListener = (error: WalrustError) => void

/**
 * Wraps every tap, whoever adds it and whenever: its errors carry the name of plugin and hook, it has to settle by
 * the hook's deadline, and a waterfall tap has to return something. tapable by itself does none of the three.
 *
 * @param deadlineOf milliseconds a tap of a hook has for one call
 */
export function guardHooks(
  hooks: Hooks,
  onCounted: FailureListener,
  deadlineOf: (hook: HookName) => number | undefined = (hook) => HOOK_POLICIES[hook].deadline,
): void {
  for (const name of Object.keys(hooks) as HookName[]) {
    const interceptor: HookInterceptor<unknown, unknown> = {
      register: (tap) => guardTap(name, tap as unknown as FullTap, onCounted, deadlineOf(name)),
    }
    ;(hooks[name] as { intercept(interceptor: HookInterceptor<unknown, unknown>): void }).intercept(interceptor)
  }
}

function guardTap(hook: HookName, tap: FullTap, onCounted: FailureListener, deadline: number | undefined): FullTap {
  const call = asPromise(tap)
  const { onFailure } = HOOK_POLICIES[hook]
  const guarded = async (...args: unknown[]): Promise<unknown> => {
    try {
      const result = await within(deadline, call(...args))
      if (result === undefined && WATERFALLS.has(hook)) throw new Error('it returned nothing')
      return result
    } catch (error) {
      const stamped = stamp(error, hook, tap.name)
      if (onFailure !== 'count') throw stamped
      onCounted(stamped)
      return undefined
    }
  }
  return { ...tap, type: 'promise', fn: guarded }
}

function asPromise(tap: FullTap): (...args: unknown[]) => Promise<unknown> {
  const { fn, type } = tap
  if (type !== 'async') return (...args) => Promise.resolve().then(() => fn(...args))
  return (...args) =>
    new Promise((resolve, reject) => {
      fn(...args, (error: unknown, result: unknown) => {
        if (error) reject(error instanceof Error ? error : new Error(messageOf(error)))
        else resolve(result)
      })
    })
}

/** Puts plugin and hook on an error. What is an error of ours already keeps its code. */
function stamp(error: unknown, hook: HookName, plugin: string): WalrustError {
  if (error instanceof WalrustError) {
    error.hook ??= hook
    error.plugin ??= plugin
    return error
  }
  return new WalrustError('E_HOOK', `plugin ${plugin} failed in hook ${hook}: ${messageOf(error)}`, {
    hook,
    plugin,
    cause: error,
  })
}

async function within<T>(milliseconds: number | undefined, work: Promise<T>): Promise<T> {
  if (milliseconds === undefined) return work
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not settle within ${milliseconds / 1000} s`)), milliseconds)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
