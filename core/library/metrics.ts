import type { MetricValues } from './protocol.js'

/** Milliseconds that the engine has for its answer. */
const PATIENCE = 2000

/** What is used of a registry of prom-client, whichever copy of it the application has. */
export interface MetricsRegistry {
  registerMetric(metric: { get(): unknown }): void
  removeSingleMetric(name: string): void
}

/**
 * Shows the metrics of the engine process in a registry of the application: whenever that is read, the engine is asked,
 * once for all of them. While there is no engine they have no values. prom-client itself is not loaded for it.
 */
export class RelayedMetrics {
  readonly #registry: MetricsRegistry
  readonly #ask: (signal?: AbortSignal) => Promise<MetricValues[]>
  #names: string[] = []
  #asking: Promise<Map<string, MetricValues>> | undefined

  constructor(registry: MetricsRegistry, ask: (signal?: AbortSignal) => Promise<MetricValues[]>) {
    this.#registry = registry
    this.#ask = ask
  }

  /** Registers everything that the engine measures. Errors: those of the registry, for a name it has already. */
  async register(): Promise<void> {
    if (this.#names.length > 0) return
    for (const shape of await this.#ask()) {
      const get = async () => (await this.#current()).get(shape.name) ?? { ...shape, values: [] }
      this.#registry.registerMetric({ ...shape, get })
      this.#names.push(shape.name)
    }
  }

  remove(): void {
    for (const name of this.#names) this.#registry.removeSingleMetric(name)
    this.#names = []
  }

  #current(): Promise<Map<string, MetricValues>> {
    this.#asking ??= this.#answer().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async #answer(): Promise<Map<string, MetricValues>> {
    // Whoever reads the registry waits for nobody who is being started again.
    const all = await this.#ask(AbortSignal.timeout(PATIENCE)).catch(() => [])
    return new Map(all.map((metric) => [metric.name, metric]))
  }
}
