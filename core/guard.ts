import type { HookInterceptor, Tap } from 'tapable'
import { messageOf, WalrustError } from './errors.js'
import { HOOK_POLICIES, type HookName, type Hooks } from './hooks.js'
import { TAP_CONTRACTS } from './tap-contracts.js'
import { within } from './timers.js'

/** Hooks whose taps hand a value on: nothing coming back is a mistake that tapable would swallow. */
const WATERFALLS: ReadonlySet<HookName> = new Set(['pageDedup', 'encode', 'decode', 'retain'])

type FullTap = Tap & { type: 'sync' | 'async' | 'promise'; fn: (...args: unknown[]) => unknown; name: string }

/** Told of every failure in a hook whose policy is `count`, where nobody else hears of it. */
export type FailureListener = (error: WalrustError) => void

/**
 * Wraps every tap, whoever adds it and whenever: its errors carry the name of plugin and hook, it has to settle by
 * the hook's deadline, and a waterfall tap has to return something. tapable by itself does none of the three. What it
 * returns is held against {@link TAP_CONTRACTS}.
 *
 * @param deadlineOf milliseconds a tap of a hook has for one call, or for a piece
 */
export function guardHooks(
  hooks: Hooks,
  onCounted: FailureListener,
  deadlineOf: (hook: HookName) => number = (hook) => HOOK_POLICIES[hook].deadline,
): void {
  for (const name of Object.keys(hooks) as HookName[]) {
    const interceptor: HookInterceptor<unknown, unknown> = {
      register: (tap) => guardTap(hooks, name, tap as unknown as FullTap, onCounted, deadlineOf(name)),
    }
    ;(hooks[name] as { intercept(interceptor: HookInterceptor<unknown, unknown>): void }).intercept(interceptor)
  }
}

function guardTap(hooks: Hooks, hook: HookName, tap: FullTap, onCounted: FailureListener, deadline: number): FullTap {
  const call = asPromise(tap)
  const { onFailure, per } = HOOK_POLICIES[hook]
  const contract = TAP_CONTRACTS[hook]
  const facts = { tap: tap.name, hooks, deadline, stamp: (error: unknown) => stamp(error, hook, tap.name) }
  const guarded = async (...args: unknown[]): Promise<unknown> => {
    const run = async (first: unknown): Promise<unknown> => {
      const result = await within(per === 'call' ? deadline : undefined, call(first, ...args.slice(1)))
      if (result === undefined && WATERFALLS.has(hook)) throw new Error('it returned nothing')
      return result
    }
    try {
      return await (contract ? contract(run, args[0], facts) : run(args[0]))
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
