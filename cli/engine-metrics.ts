import type { MetricValues } from '../core/library/protocol.js'
import type { Plugin, PluginHost } from '../core/plugin.js'

/** Measures for an application that has a registry of its own: no port, and values when they are asked for. */
export interface EngineMetrics {
  plugin: Plugin
  values(): Promise<MetricValues[]>
}

export async function engineMetrics(): Promise<EngineMetrics> {
  const [{ observe }, { createInstruments }] = await Promise.all([
    import('../plugins/metrics/observe.js'),
    import('../plugins/metrics/instruments.js'),
  ])
  let host: PluginHost
  let instruments: Awaited<ReturnType<typeof createInstruments>> | undefined
  return {
    plugin: {
      name: 'walrust:library-metrics',
      apply(given) {
        host = given
        const ignore = () => undefined
        observe(given, () => instruments, ignore, ignore)
      },
      async start() {
        instruments = await createInstruments(host)
      },
    },
    async values() {
      const all = ((await instruments?.registry.getMetricsAsJSON()) ?? []) as unknown as MetricValues[]
      // Only what a process can hand to another one.
      return structuredClone(all)
    },
  }
}
