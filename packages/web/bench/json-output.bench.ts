/**
 * A range query's answer as JSON text: streamed from columns, beside `JSON.stringify` of the same
 * answer as objects. Reports time and the longest stretch in which nothing else could run.
 */
import type { ServerResponse } from 'node:http';
import type { QueryValue } from '@canopy/model';
import { asDuration, asTime, labelsToObject } from '@canopy/model';
import { NO_STATS, formatFloat } from '@canopy/promql';
import { writeSuccess } from '../src/api/answer.js';
import { JsonOutput } from '../src/api/json-output.js';
import { Params } from '../src/api/params.js';
import { queryRange } from '../src/api/queries.js';
import { fakeOptions } from '../src/testing/fake-options.js';

const SERIES = Number(process.argv[2] ?? 500);
const POINTS = Number(process.argv[3] ?? 240);
const ROUNDS = 5;

const START = 1_700_000_000_000;
const value: Extract<QueryValue, { type: 'matrix' }> = {
  type: 'matrix',
  series: Array.from({ length: SERIES }, (_, i) => ({
    labels: ['__name__', 'http_requests_total', 'instance', `host-${i}:9100`, 'job', 'node'],
    times: Float64Array.from({ length: POINTS }, (_p, k) => START + k * 15_000),
    values: Float64Array.from({ length: POINTS }, (_p, k) => (i + 1) * Math.sqrt(k)),
  })),
};
const result = { value, warnings: [], infos: [], stats: NO_STATS };
const options = fakeOptions({
  engine: { instant: async () => result, range: async () => result },
});

/** A response that encodes its text and takes it at once. */
function sinkResponse(): { res: ServerResponse; bytes: () => number } {
  let bytes = 0;
  const sink = {
    headersSent: false,
    setHeader: () => sink,
    on: () => sink,
    write(text: string) {
      sink.headersSent = true;
      bytes += Buffer.from(text).length;
      return true;
    },
    end: (text: string) => sink.write(text),
  };
  return { res: sink as unknown as ServerResponse, bytes: () => bytes };
}

async function streamed(): Promise<number> {
  const { res, bytes } = sinkResponse();
  const end = START + asDuration((POINTS - 1) * 15_000);
  const url = new URLSearchParams({ query: 'x', start: String(START / 1000), step: '15' });
  url.set('end', String(asTime(end) / 1000));
  const params = new Params(url, new URLSearchParams());
  const { signal } = new AbortController();
  const answer = await queryRange({ options, params, path: {}, signal });
  await writeSuccess(new JsonOutput(res, signal), answer);
  return bytes();
}

async function stringified(): Promise<number> {
  const { res, bytes } = sinkResponse();
  const series = value.series.map(({ labels, times, values }) => ({
    metric: labelsToObject(labels),
    values: Array.from(times, (time, i) => [time / 1000, formatFloat(values[i])]),
  }));
  const data = { resultType: 'matrix', result: series };
  res.end(JSON.stringify({ status: 'success', data }));
  return bytes();
}

/** Milliseconds in all, and the longest time between two turns of the event loop. */
async function timed(run: () => Promise<number>): Promise<{ ms: number; heldMs: number }> {
  let turning = true;
  let heldMs = 0;
  const watch = (async () => {
    for (let last = performance.now(); turning; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const now = performance.now();
      heldMs = Math.max(heldMs, now - last);
      last = now;
    }
  })();
  await new Promise((resolve) => setImmediate(resolve));
  const started = performance.now();
  await run();
  const ms = performance.now() - started;
  turning = false;
  await watch;
  return { ms, heldMs };
}

const best = { streamed: Infinity, stringified: Infinity };
const held = { streamed: Infinity, stringified: Infinity };
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of [
    ['streamed', streamed],
    ['stringified', stringified],
  ] as const) {
    const { ms, heldMs } = await timed(run);
    best[name] = Math.min(best[name], ms);
    held[name] = Math.min(held[name], heldMs);
  }
}
const points = SERIES * POINTS;
const line = (name: keyof typeof best): string =>
  `${name.padEnd(12)} ${best[name].toFixed(1)} ms, ${((best[name] * 1e6) / points).toFixed(0)} ns a point, ` +
  `held the loop for ${held[name].toFixed(1)} ms`;
console.log(`${SERIES} series × ${POINTS} points, ${await streamed()} bytes`);
console.log(line('streamed'));
console.log(line('stringified'));
console.log(
  `streamed / stringified: time ${(best.streamed / best.stringified).toFixed(2)}, ` +
    `held ${(held.streamed / held.stringified).toFixed(2)}`,
);
