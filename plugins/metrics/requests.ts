import type { Registry } from 'prom-client'
import type { PluginHost } from '../../core/index.js'

type Of = 'storage' | 'request' | 'kind' | 'direction'

/** What was asked of each storage, which is what it costs: read from the counts that are kept anyway. */
export async function requestCounters(host: PluginHost, registry: Registry): Promise<void> {
  const { default: Counter } = await import('prom-client/lib/counter.js')
  const read = (name: string, help: string, label: Of, values: (traffic: Traffic) => Record<string, number>) =>
    new Counter<Of>({
      name,
      help,
      labelNames: ['storage', label],
      registers: [registry],
      collect() {
        this.reset()
        for (const [storage, traffic] of host.traffic())
          for (const [value, count] of Object.entries(values(traffic))) this.inc({ storage, [label]: value }, count)
      },
    })
  read('walrust_request_total', 'Requests to storage.', 'request', ({ requests }) => requests)
  read('walrust_request_failure_total', 'Requests to storage that failed, by why.', 'kind', ({ failures }) => failures)
  read('walrust_transfer_bytes_total', 'Bytes of bodies of requests.', 'direction', ({ sent, received }) => ({
    sent,
    received,
  }))
}

type Traffic = ReturnType<PluginHost['traffic']> extends ReadonlyMap<string, infer Each> ? Each : never
