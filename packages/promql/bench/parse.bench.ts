/**
 * Query text to typed tree beside lezer's tree alone: `npx tsx -C canopy-source
 * packages/promql/bench/parse.bench.ts`. Minima of interleaved rounds.
 */
import { parser as lezer } from '@prometheus-io/lezer-promql';
import { parseQuery } from '../src/syntax/parse.js';

const ROUNDS = 7;

const QUERIES: Readonly<Record<string, string>> = {
  name: 'up',
  rate: 'sum by (job) (rate(http_requests_total{job="api",code!~"5.."}[5m]))',
  dashboard:
    'histogram_quantile(0.99, sum by (le) (rate(wait_bucket{job=~"api|web"}[5m]))) / on (node) ' +
    'group_left (zone) (1 - avg by (node, zone) (cpu_total{mode="idle"} offset 5m)) > bool 0.5',
  'sum of 100': Array.from({ length: 100 }, (_, i) => `metric_${i}{a="b"}`).join(' + '),
  '400 parentheses': `${'('.repeat(400)}x${')'.repeat(400)}`,
};

function microseconds(run: () => unknown, times: number): number {
  const began = performance.now();
  for (let i = 0; i < times; i++) run();
  return ((performance.now() - began) / times) * 1000;
}

for (const [name, query] of Object.entries(QUERIES)) {
  const times = Math.ceil(20_000 / query.length);
  let own = Number.POSITIVE_INFINITY;
  let alone = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    own = Math.min(
      own,
      microseconds(() => parseQuery(query), times),
    );
    alone = Math.min(
      alone,
      microseconds(() => lezer.parse(query), times),
    );
  }
  console.log(
    `${name.padEnd(16)} ${own.toFixed(1).padStart(8)} µs, lezer alone ${alone.toFixed(1).padStart(8)} µs, ratio ${(own / alone).toFixed(2)}`,
  );
}
