/**
 * Series as exporters have them, for the benchmark of queries: targets of 1,004 series (request counters, a
 * latency histogram, CPU, disks, containers with limits, queues) as functions of a seed, scrape by scrape.
 */
import { type Labels, labelsFromObject } from '@canopy/model';

/** Samples lie between whole seconds, where Prometheus 2 and 3 agree on what a range holds. */
const PHASE = 321;
export const INTERVAL = 15_000;

const BOUNDS = [
  '0.005',
  '0.01',
  '0.025',
  '0.05',
  '0.1',
  '0.25',
  '0.5',
  '1',
  '2.5',
  '5',
  '10',
  '+Inf',
];
const MODES = ['user', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal', 'nice'];
const CODES = ['200', '204', '400', '404', '500'];
const count = (length: number): number[] => Array.from({ length }, (_, i) => i);
const handlers = count(20).map((i) => `/api/v1/resource_${i}`);

/** Moves `values[at]` on by one scrape. */
type Draw = (values: Float64Array, at: number, random: () => number) => void;

const constant: Draw = () => {};
const counter: Draw = (values, at, random) => {
  if (random() < 0.4) values[at] += Math.floor(random() * 20);
};
const seconds: Draw = (values, at, random) => {
  values[at] += Math.round(random() * 1500) / 100;
};
const gauge: Draw = (values, at, random) => {
  if (random() < 0.5) values[at] += Math.round((random() - 0.5) * 8192);
};
/** A cumulative bucket: what fell into it, and what those before it have. */
const bucket: Draw = (values, at, random) => {
  for (let i = 0, total = 0; i < BOUNDS.length; i++) {
    if (random() < 0.3) total += Math.floor(random() * 4);
    values[at + i] += total;
  }
};

interface Line {
  readonly labels: Record<string, string>;
  readonly start: (random: () => number) => number;
  readonly draw: Draw;
}

/** The series of one target, without `job` and `instance`. */
function targetLines(prefix: string, version: string): Line[] {
  const lines: Line[] = [];
  const add = (name: string, draw: Draw, labels: Record<string, string> = {}, start = 0): void => {
    const from = (random: () => number): number => start + Math.floor(random() * start);
    lines.push({ labels: { __name__: `${prefix}_${name}`, ...labels }, start: from, draw });
  };
  for (const handler of handlers) {
    for (const method of ['GET', 'POST']) {
      for (const code of CODES) add('http_requests_total', counter, { handler, method, code }, 1e5);
    }
    for (const le of BOUNDS) {
      const draw = le === BOUNDS[0] ? bucket : constant;
      add('http_request_duration_seconds_bucket', draw, { handler, le });
    }
    add('http_request_duration_seconds_sum', seconds, { handler });
    add('http_request_duration_seconds_count', counter, { handler });
  }
  for (const cpu of count(16)) {
    for (const mode of MODES) add('cpu_seconds_total', seconds, { cpu: String(cpu), mode }, 1e4);
  }
  for (const i of count(40)) {
    const labels = { device: `/dev/sd${i}`, mountpoint: `/data/${i}` };
    add('filesystem_avail_bytes', gauge, labels, 2 ** 36);
    add('filesystem_size_bytes', constant, labels, 2 ** 38);
  }
  for (const i of count(100)) {
    const container = `container-${i}`;
    add('container_memory_bytes', gauge, { container }, 2 ** 28);
    add('container_limit_bytes', constant, { container }, 2 ** 30);
  }
  for (const i of count(114)) add('queue_length', gauge, { queue: `queue-${i}` }, 1e6);
  add('build_info', constant, { version }, 0);
  add('up', constant);
  return lines;
}

/** One set of targets with the same metrics. */
export interface Farm {
  /** In front of every metric name. */
  readonly prefix: string;
  readonly targets: number;
  readonly hours: number;
}

export class FarmTarget {
  readonly instance: string;
  readonly labels: readonly Labels[];
  readonly values: Float64Array;
  /** Milliseconds from the start of an interval to the scrape. */
  readonly offset: number;
  readonly #draws: readonly Draw[];
  readonly #random: () => number;

  constructor({ prefix, targets }: Farm, number: number) {
    const lines = targetLines(prefix, `1.${number % 3}.0`);
    const random = makeRandom(number + 1);
    this.instance = `${prefix}-${number}:9100`;
    const target = { job: prefix, instance: this.instance };
    this.labels = lines.map(({ labels }) => labelsFromObject({ ...labels, ...target }));
    this.values = Float64Array.from(lines, ({ start }) => start(random));
    // `build_info` and `up`.
    this.values.fill(1, lines.length - 2);
    this.#draws = lines.map(({ draw }) => draw);
    this.#random = random;
    this.offset = Math.floor(((number / targets) * INTERVAL) / 1000) * 1000 + PHASE;
  }

  /** Moves all values on by one scrape. */
  next(): void {
    const draws = this.#draws;
    for (let i = 0; i < draws.length; i++) draws[i](this.values, i, this.#random);
  }
}

/** Uniform in [0, 1), the same sequence each time (mulberry32). */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
