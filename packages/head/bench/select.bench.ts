/**
 * Selecting: 10 groups of 1,000 slots with 480 frames.
 *   npx tsx --conditions=canopy-source packages/head/bench/select.bench.ts
 * The rival is the same number of values copied from plain arrays.
 */
import { asDuration, asTime, makeMatcher } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { Head } from '../src/index.js';
import { JournalScript } from '../src/testing/index.js';

const GROUPS = 10;
const SLOTS = 1000;
const FRAMES = 480;
const START = 1_700_000_000_000;
const INTERVAL = 15_000;
const END = START + FRAMES * INTERVAL;

const clock = new VirtualClock(END);
const head = new Head({
  clock,
  windowMs: asDuration(7_200_000),
  tileFrames: 120,
  outOfOrderWindow: asDuration(600_000),
  onTileClosed: () => {},
  tileSource: null,
  maxSeries: 10_000_000,
});
const journal = new JournalScript('a');
const states = new Uint8Array(SLOTS).fill(1);
for (let g = 0; g < GROUPS; g++) {
  const group = journal.group({ interval: INTERVAL });
  for (let slot = 0; slot < SLOTS; slot++) {
    group.add({
      __name__: `metric_${slot % 100}_total`,
      instance: `host-${g}.example:9100`,
      job: 'node',
      device: `dev${Math.floor(slot / 100)}`,
    });
  }
  const values = new Float64Array(SLOTS);
  for (let frame = 0; frame < FRAMES; frame++) {
    for (let slot = frame % 5; slot < SLOTS; slot += 5) values[slot] += slot;
    group.columns(START + frame * INTERVAL, states, values, frame % 120 === 0);
  }
}
head.apply(journal.ref, journal.entries);

async function measure(title: string, name: string, from: number): Promise<void> {
  const matchers = [makeMatcher('__name__', name.includes('.') ? '=~' : '=', name)];
  const range = { minTime: asTime(from), maxTime: asTime(END) };
  let series = 0;
  let entries = 0;
  const once = async (): Promise<number> => {
    const start = performance.now();
    const snapshot = head.snapshot();
    const selected = await snapshot.select(matchers, range);
    const taken = performance.now() - start;
    series = selected.length;
    entries = selected.reduce((total, each) => total + each.to - each.from, 0);
    snapshot.release();
    return taken;
  };
  const plain = new Float64Array(FRAMES);
  const copy = (): number => {
    const start = performance.now();
    for (let i = 0; i < series; i++)
      new Float64Array(entries / series).set(plain.subarray(0, entries / series));
    return performance.now() - start;
  };
  for (let i = 0; i < 5; i++) await once();
  let best = Number.POSITIVE_INFINITY;
  let rival = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 15; i++) {
    best = Math.min(best, await once());
    rival = Math.min(rival, copy());
  }
  const perSeries = ((best * 1000) / series).toFixed(2);
  const perEntry = ((best * 1e6) / entries).toFixed(1);
  const ratio = (best / rival).toFixed(1);
  console.log(
    `${title}: ${series} series, ${best.toFixed(2)} ms, ${perSeries} µs a series, ${perEntry} ns an entry, ${ratio} × a copy`,
  );
}

await measure('one name, last 5 minutes ', 'metric_7_total', END - 300_000);
await measure('one name, 2 hours        ', 'metric_7_total', START);
await measure('all names, last 5 minutes', 'metric_.*', END - 300_000);
await measure('all names, 2 hours       ', 'metric_.*', START);
