/** Asks a real Prometheus and a parent the same questions over the same samples. */
import {
  RANGE_FUNCTIONS,
  SCALARS,
  randomQuery,
  seededRandom,
} from '../../packages/promql/src/testing/random-query.js';
import type { Site } from '../processes.js';
import { type Question, ask, countDifference, difference } from './compare-answers.js';
import { demoSeries } from './demo-data.js';
import { EXPLAINED } from './explained.js';
import { type Server, load, startBoth } from './two-servers.js';

const STEP_SECONDS = 5;

export interface Totals {
  questions: number;
  /** Those that both refused. */
  refused: number;
  explained: number;
  /** One line each. */
  readonly differences: string[];
}

export class Against {
  readonly totals: Totals = { questions: 0, refused: 0, explained: 0, differences: [] };
  readonly #servers: readonly [Server, Server];
  /** Seconds; the samples lie between them. */
  readonly #start: number;
  readonly #end: number;

  private constructor(servers: readonly [Server, Server], start: number, end: number) {
    this.#servers = servers;
    this.#start = start;
    this.#end = end;
  }

  /** Both servers with `minutes` of samples up to now. */
  static async open(site: Site, minutes: number, seed: number): Promise<Against> {
    const servers = await startBoth(site);
    const steps = Math.floor((minutes * 60) / STEP_SECONDS);
    const start = Math.floor(Date.now() / 60_000) * 60 - steps * STEP_SECONDS;
    await load(servers, demoSeries(start, steps, seed));
    return new Against(servers, start, start + steps * STEP_SECONDS);
  }

  /** Instant and as a range. */
  async compare(query: string): Promise<void> {
    // No edge of a range or of a subquery's steps falls on a sample or a step.
    const middle = Math.floor((this.#start + this.#end) / 20) * 10 + 3;
    await this.#compare({ query, start: middle, end: middle, step: null });
    await this.#compare({ query, start: middle - 600, end: middle + 600, step: 10 });
  }

  /** `count` random queries, the same for the same seed. */
  async compareRandom(
    count: number,
    seed: number,
    onProgress: (done: number) => void,
  ): Promise<void> {
    const next = seededRandom(seed);
    for (let done = 0; done < count; done++) {
      const kind = next() < 0.9 ? 'vector' : 'scalar';
      await this.compare(randomQuery(next, kind, 1 + Math.floor(next() * 3), WORDS));
      onProgress(done + 1);
    }
  }

  async #compare(question: Question): Promise<void> {
    const [expected, got] = await Promise.all(this.#servers.map((server) => ask(server, question)));
    this.totals.questions++;
    if (expected.status === 'error' && got.status === 'error') this.totals.refused++;
    const different = difference(expected, got) || countDifference(expected, got);
    if (different === '') return;
    const isExplained = ([query, what]: (typeof EXPLAINED)[number]): boolean =>
      query.test(question.query) && what.test(different);
    if (EXPLAINED.some(isExplained)) {
      this.totals.explained++;
      return;
    }
    const at = question.step === null ? `at ${question.start}` : `from ${question.start}, step 10`;
    this.totals.differences.push(`${question.query} ${at}: ${different}`);
  }
}

const WORDS = {
  selectors: [
    ...['demo_memory_usage_bytes', 'demo_cpu_usage_seconds_total', 'demo_intermittent_metric'],
    ...['demo_num_cpus', 'demo_odd_values', 'demo_memory_usage_bytes{type="free"}'],
    ...['{__name__=~"demo_disk_.+"}', 'demo_is_holiday{instance!~".*:10000"}', 'nonexistent'],
  ],
  // No multiples of the samples' distance: nothing lies on an edge.
  ranges: ['17s', '1m9s', '4m7s', '21s'],
  shifts: ['', '', '', ' offset 1m', ' offset -2m'],
  labels: ['instance', 'type', 'mode'],
  // Durations as numbers and this function came after 2.42.
  scalars: SCALARS.filter((text) => text !== '5m'),
  rangeFunctions: RANGE_FUNCTIONS.filter((name) => name !== 'first_over_time'),
};
