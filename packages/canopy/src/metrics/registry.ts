/**
 * Bridges plain numbers, which packages count, to prom-client. Nothing is counted here: a metric is
 * a function that reads its value when somebody asks.
 */
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { timerDelays } from '../clock.js';
import { METRICS, type MetricDescription, type MetricName } from './names.js';

/** Label values (in the order of the description) with their number. */
export type Reading = Iterable<readonly [labels: readonly string[], value: number]>;

/**
 * prom-client's gauges of these names read a timer a hundred times a second, most of what an idle
 * process does, and show the timer's period as a delay. These read what the clock's timers noticed.
 */
function showEventLoopDelay(registry: Registry): void {
  const seconds = (nanoseconds: number): number =>
    timerDelays.count === 0 ? 0 : nanoseconds / 1e9;
  const gauge = (name: string, what: string, read: () => number): void => {
    const full = `nodejs_eventloop_lag_${name}_seconds`;
    registry.removeSingleMetric(full);
    new Gauge({
      name: full,
      help: `The ${what} of the event loop delays since the last reading.`,
      registers: [registry],
      collect() {
        this.set(read());
        if (name === 'p99') timerDelays.reset();
      },
    });
  };
  gauge('min', 'minimum', () => seconds(timerDelays.min));
  gauge('max', 'maximum', () => seconds(timerDelays.max));
  gauge('mean', 'mean', () => seconds(timerDelays.mean));
  gauge('stddev', 'standard deviation', () => seconds(timerDelays.stddev));
  for (const rank of [50, 90, 99]) {
    gauge(`p${rank}`, `${rank}th percentile`, () => seconds(timerDelays.percentile(rank)));
  }
}

export class SelfMetrics {
  readonly #registry = new Registry();

  /** `ownsProcess`: what the operating system says of this process is told, too. */
  constructor(ownsProcess: boolean) {
    if (!ownsProcess) return;
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 10 ** 9 });
    showEventLoopDelay(this.#registry);
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
