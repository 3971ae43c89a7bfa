import type { IncomingMessage } from 'node:http'

export interface Outgoing {
  method: 'GET' | 'POST'
  url: URL
  headers: Readonly<Record<string, string | number>>
  body?: Buffer
  /** Milliseconds for the whole of it, the answer's end included. */
  timeout: number
  signal: AbortSignal
}

export interface Answer {
  status: number
  /** Milliseconds that the other side asks to wait before another attempt. */
  retryAfter: number | undefined
}

/**
 * One request with a deadline. Redirects are answers like others: whatever is signed, or kept secret in a URL, is not
 * carried to a place that somebody else names. The answer's body is read and thrown away, up to the deadline.
 *
 * Errors: those of the connection and of the signal. Their messages name a host at most, never the rest of a URL.
 */
export async function request({ method, url, headers, body, timeout, signal }: Outgoing): Promise<Answer> {
  const { request: open } = url.protocol === 'https:' ? await import('node:https') : await import('node:http')
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new Error(`no answer within ${timeout / 1000} s`)), timeout)
  const either = AbortSignal.any([signal, late.signal])
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const fail = (error: Error) => reject(either.aborted ? (either.reason as Error) : error)
      either.throwIfAborted()
      // A connection of its own: events are rare, and one that was kept may be dead by the next.
      const outgoing = open(url, { method, headers, signal: either, agent: false })
      outgoing.on('error', fail)
      outgoing.on('response', (incoming) => {
        incoming.on('error', fail)
        incoming.on('end', () => resolve(answerOf(incoming)))
        incoming.on('close', () => fail(new Error('the connection ended in the middle of the answer')))
        incoming.resume()
      })
      outgoing.end(body)
    })
  } finally {
    clearTimeout(timer)
  }
}

function answerOf({ statusCode = 0, headers }: IncomingMessage): Answer {
  const wait = headers['retry-after']
  const seconds = wait === undefined ? NaN : Number(wait)
  const until = Number.isNaN(seconds) ? Date.parse(wait ?? '') - Date.now() : seconds * 1000
  return { status: statusCode, retryAfter: Number.isNaN(until) ? undefined : Math.max(0, until) }
}

/** A URL as it may be shown: where it leads, without what is often secret in it. */
export function shownUrl(url: URL): string {
  return url.pathname === '/' && url.search === '' ? url.origin : `${url.origin}/…`
}
