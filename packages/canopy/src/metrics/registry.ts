/**
 * Bridges plain numbers, which packages count, to prom-client. Nothing is counted here: a metric is
 * a function that reads its value when somebody asks.
 */
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { METRICS, type MetricDescription, type MetricName } from './names.js';

/** Label values (in the order of the description) with their number. */
export type Reading = Iterable<readonly [labels: readonly string[], value: number]>;

export class SelfMetrics {
  readonly #registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 10 });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** A metric without labels. */
  value(name: MetricName, read: () => number): void {
    this.readings(name, () => [[[], read()]]);
  }

  /** A metric with labels; all its series are read anew each time. */
  readings(name: MetricName, read: () => Reading): void {
    const description: MetricDescription = METRICS[name];
    const labelNames = [...(description.labels ?? [])];
    const common = { name, help: description.help, labelNames, registers: [this.#registry] };
    const labelsOf = (values: readonly string[]) =>
      Object.fromEntries(labelNames.map((label, index) => [label, values[index]]));
    if (description.type === 'counter') {
      new Counter({
        ...common,
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.inc(labelsOf(labels), value);
        },
      });
    } else {
      new Gauge({
        ...common,
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.set(labelsOf(labels), value);
        },
      });
    }
  }
}
