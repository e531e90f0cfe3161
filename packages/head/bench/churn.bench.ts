/**
 * Rolling deployments: every hour all pods are new, for days. What the head holds must not grow.
 *   npx tsx --conditions=canopy-source --expose-gc packages/head/bench/churn.bench.ts [series] [hours]
 */
import { type Labels, asDuration, asTime, labelsFromObject } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { Head } from '../src/index.js';
import { JournalScript } from '../src/testing/index.js';

const SERIES = Number(process.argv[2] ?? 2000);
const HOURS = Number(process.argv[3] ?? 48);
const PODS_OF = 100;
const FRAMES_AN_HOUR = 12;
const HOUR = 3_600_000;
const START = 1_700_000_000_000;

const clock = new VirtualClock(START + HOUR);
const head = new Head({
  clock,
  windowMs: asDuration(2 * HOUR),
  tileFrames: 120,
  outOfOrderWindow: asDuration(0),
  onTileClosed: () => {},
  tileSource: null,
  maxSeries: 100 * SERIES,
});
const journal = new JournalScript('c');

function megabytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

async function hour(number: number): Promise<void> {
  const begun = START + number * HOUR;
  await clock.advance(number === 0 ? 0 : HOUR);
  for (let first = 0; first < SERIES; first += PODS_OF) {
    const group = journal.group({ interval: HOUR / FRAMES_AN_HOUR });
    const values: number[] = [];
    for (let i = first; i < first + PODS_OF; i++) {
      const pod = `pod-${number}-${i}`;
      const labels: Labels = labelsFromObject({ __name__: 'restarts', pod, uid: `${number}.${i}` });
      group.add(labels);
      values.push(i);
    }
    for (let frame = 0; frame < FRAMES_AN_HOUR; frame++) {
      group.frame(begun + (frame * HOUR) / FRAMES_AN_HOUR + first, values);
      values[0]++;
    }
  }
  head.apply(journal.ref, journal.take());
  const now = asTime(begun + HOUR);
  head.expire(now);
  const places = head.groupsNotNeeded(journal.ref, head.trimmable(journal.ref));
  head.layoutsDropped(journal.ref, places);
}

const before = megabytes();
let settled = 0;
for (let number = 0; number < HOURS; number++) {
  await hour(number);
  if (number === 7) settled = megabytes();
  if (number % 8 !== 7) continue;
  const now = megabytes() - before;
  console.log(
    `after ${number + 1} hours: ${head.stats.series} series of ${(number + 1) * SERIES} there were, ${now.toFixed(1)} MiB, ${(now / (settled - before)).toFixed(2)} times what it was after eight`,
  );
}
