import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import { type EngineStatus, messageOf, type Plugin, type PluginHost, WalrustError } from '../../core/index.js'
import { History, SAMPLE_MS } from './history.js'
import { createInstruments, type Instruments } from './instruments.js'
import { observe } from './observe.js'
import { healthReport, pageReport } from './report.js'
import { isLoopback, type Page, serve } from './server.js'

export interface MetricsOptions {
  /** Port to listen on: 16767 without it, 0 for any that is free. */
  port?: number
  /** Address to listen on: 127.0.0.1 without it. Whoever reaches another one can read names and errors of databases. */
  host?: string
  /** Where to register the metrics, beside others of the program. */
  registry?: Registry
}

const NAME = 'walrust:metrics'
export const DEFAULT_PORT = 16_767

/**
 * `/metrics` for Prometheus, `/health` for whoever has to know whether it is well, and `/` for people. Measures by
 * listening at the hooks and by reading the status.
 *
 * A port that is taken is said, and shipping goes on without: another watch on the same machine must not go unbacked
 * because of its metrics.
 */
export function metrics({ port = DEFAULT_PORT, host = '127.0.0.1', registry }: MetricsOptions = {}): Plugin {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new WalrustError('E_CONFIG', `${NAME}: ${port} is not a port`, { plugin: NAME })
  }
  const history = new History()
  let walrust: PluginHost
  let instruments: Instruments | undefined
  let server: Server | undefined
  let timer: NodeJS.Timeout | undefined

  const status = (): EngineStatus => walrust.status() ?? { startedAt: Date.now(), maxLag: 0, databases: [] }

  const routes = {
    '/metrics': async (): Promise<Page> => {
      if (!instruments) return json({}, 503)
      return { type: instruments.registry.contentType, body: await instruments.registry.metrics() }
    },
    '/health': (): Page => {
      const report = healthReport(status(), walrust.version, Date.now())
      return json(report, report.status === 'unhealthy' ? 503 : 200)
    },
    '/status.json': (): Page => json(pageReport(status(), history, walrust.version, Date.now())),
    '/': async (): Promise<Page> => ({ type: 'text/html; charset=utf-8', body: (await import('./page.js')).HTML }),
    '/page.css': async (): Promise<Page> => ({
      type: 'text/css; charset=utf-8',
      body: (await import('./page.js')).CSS,
    }),
    '/page.js': async (): Promise<Page> => ({
      type: 'text/javascript; charset=utf-8',
      body: (await import('./page.js')).SCRIPT,
    }),
  }

  async function listen(): Promise<void> {
    try {
      server = await serve(routes, host, port)
      const address = server.address() as AddressInfo
      const url = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}/`
      walrust.log.info('metrics', { url })
      if (!isLoopback(host)) walrust.log.warn('metrics can be read by whoever reaches this address', { url })
    } catch (error) {
      const level = port === DEFAULT_PORT && isLoopback(host) ? 'info' : 'error'
      const hint = 'Another walrust on this machine? Give each a port of its own with --metrics-port.'
      walrust.log[level]('no metrics: shipping goes on without', { host, port, error: messageOf(error), hint })
    }
  }

  return {
    name: NAME,
    apply(given) {
      walrust = given
      observe(
        given,
        () => instruments,
        (event) => history.event(event),
        (database, bytes) => history.shipped(database, bytes),
      )
    },
    async start() {
      instruments = await createInstruments(walrust, registry)
      await listen()
      timer = setInterval(() => history.sample(status(), Date.now()), SAMPLE_MS)
    },
    async stop() {
      clearInterval(timer)
      server?.closeAllConnections()
      if (server) await new Promise((resolve) => server?.close(resolve))
    },
  }
}

function json(value: unknown, code = 200): Page {
  return { status: code, type: 'application/json; charset=utf-8', body: JSON.stringify(value) }
}
