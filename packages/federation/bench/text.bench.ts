/**
 * A text answer without the network: finding series, reading their newest samples, writing lines. Targets of 1,000
 * series, 10 metrics each; the first number is how many. CPU of the thread, least of several.
 *   npm run bench -- federation/text 1000
 */
import { TextEncoder004 } from '@canopy/exposition';
import { Head } from '@canopy/head';
import { JournalScript } from '@canopy/head/testing';
import { asDuration, asTime, makeMatcher } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';

const GROUPS = Number(process.argv[2] ?? 100);
const SLOTS = 1000;
const ROUNDS = 12;
const NOW = 1_700_000_000_000;

const clock = new VirtualClock(NOW);
const head = new Head({
  ...{ clock, windowMs: asDuration(7_200_000), tileFrames: 120, outOfOrderWindow: asDuration(0) },
  ...{ onTileClosed: () => {}, tileSource: null, maxSeries: 10_000_000 },
});
const journal = new JournalScript('a');
const states = new Uint8Array(SLOTS).fill(1);
const values = new Float64Array(SLOTS);
for (let g = 0; g < GROUPS; g++) {
  const group = journal.group({ interval: 5000 });
  for (let slot = 0; slot < SLOTS; slot++) {
    group.add({
      __name__: `farm_metric_${Math.floor(slot / 100)}_total`,
      ...{ instance: `target-${g}`, job: 'farm', method: 'GET', code: '200' },
      ...{ path: `/api/v1/resource/${slot % 100}`, zone: `zone-${slot % 3}` },
    });
  }
  for (let frame = 0; frame < 20; frame++) {
    for (let slot = frame % 5; slot < SLOTS; slot += 5) values[slot] += slot;
    group.columns(NOW - 100_000 + frame * 5000, states, values, frame === 0);
  }
  head.apply(journal.ref, journal.take());
}

const range = { minTime: asTime(NOW - 300_000), maxTime: asTime(NOW) };
const columns = {
  values: new Float64Array(SLOTS),
  times: new Float64Array(SLOTS),
  families: Array.from({ length: SLOTS }, () => undefined),
};
const least = { find: Infinity, read: Infinity, write: Infinity };
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
let bytes = 0;
for (let round = 0; round < ROUNDS; round++) {
  const taken = { find: 0, read: 0, write: 0 };
  const timed = async <T>(part: keyof typeof taken, task: () => Promise<T> | T): Promise<T> => {
    const begun = cpuMs();
    const result = await task();
    taken[part] += cpuMs() - begun;
    return result;
  };
  const snapshot = head.snapshot();
  const matchers = [makeMatcher('__name__', '!=', '')];
  const last = await timed('find', () => snapshot.last([matchers], range));
  const encoder = new TextEncoder004(last.labels, 'instance');
  bytes = 0;
  for (const series of last.metrics.values()) {
    for (let from = 0; from < series.length; from += SLOTS) {
      await timed('read', () => last.read(series, from, SLOTS, columns));
      await timed('write', () => {
        for (let i = 0; i < SLOTS; i++) {
          encoder.sample(series[from + i], columns.values[i], columns.times[i]);
          if (encoder.full) bytes += encoder.take().length;
        }
      });
    }
  }
  snapshot.release();
  for (const part of Object.keys(least) as Array<keyof typeof least>)
    least[part] = Math.min(least[part], taken[part]);
}
const count = GROUPS * SLOTS;
for (const [part, ms] of Object.entries(least)) {
  console.log(`${part}: ${ms.toFixed(1)} ms, ${((ms * 1e6) / count).toFixed(0)} ns a series`);
}
console.log(`${(bytes / count).toFixed(0)} bytes a line`);
