import type { PluginHost, Traffic } from '../../core/index.js'
import type { ReadCounter } from './instruments.js'

/** What was asked of each storage, which is what it costs: read from the counts that are kept anyway. */
export function requestCounters(host: PluginHost, readCounter: ReadCounter): void {
  const read = (name: string, help: string, label: string, values: (traffic: Traffic) => Record<string, number>) =>
    readCounter(name, help, ['storage', label], (counter) => {
      for (const [storage, traffic] of host.traffic())
        for (const [value, count] of Object.entries(values(traffic))) counter.inc({ storage, [label]: value }, count)
    })
  read('walrust_request_total', 'Requests to storage.', 'request', ({ requests }) => requests)
  read('walrust_request_failure_total', 'Requests to storage that failed, by why.', 'kind', ({ failures }) => failures)
  read('walrust_transfer_bytes_total', 'Bytes of bodies of requests.', 'direction', ({ sent, received }) => ({
    sent,
    received,
  }))
}
