/**
 * Closing the tile of a wide group, 120 frames: how long the event loop is held, at once and in steps.
 * Run: npx tsx --conditions canopy-source bench/close.bench.ts [slots] [rounds]
 */
import { asDuration, asTime } from '@canopy/model';
import { Head } from '../src/index.js';
import { JournalScript } from '../src/testing/index.js';

const SLOTS = Number(process.argv[2] ?? 1000);
const rounds = Number(process.argv[3] ?? 3);
const START = 1_700_000_000_000;

/** Milliseconds of each turn of the event loop that a closing takes. */
async function turns(tileCellsAtOnce: number): Promise<number[]> {
  const took: number[] = [];
  let closed = false;
  const timed = (turn: () => void): void => {
    const begun = performance.now();
    turn();
    took.push(performance.now() - begun);
  };
  const head = new Head({
    clock: {
      now: () => asTime(START),
      monotonic: () => performance.now(),
      after: (_delay, fire) => {
        const turn = setImmediate(() => timed(fire));
        return { cancel: () => clearImmediate(turn) };
      },
    },
    windowMs: asDuration(3_600_000),
    tileFrames: 120,
    outOfOrderWindow: asDuration(0),
    onTileClosed: () => (closed = true),
    tileSource: null,
    maxSeries: 2_000_000,
    tileCellsAtOnce,
  });
  const journal = new JournalScript('a');
  const group = journal.group();
  for (let slot = 0; slot < SLOTS; slot++) group.add({ __name__: 'x', slot: String(slot) });
  const values = Array.from({ length: SLOTS }, (_, slot) => slot * 17);
  for (let n = 0; n < 120; n++) {
    for (let slot = n % 5; slot < SLOTS; slot += 5) values[slot] += 1 + ((slot * 31 + n) % 100);
    group.frame(START + n * 5000, values);
  }
  head.apply(journal.ref, journal.take());
  group.frame(START + 120 * 5000, values, true);
  const last = journal.take();
  timed(() => head.apply(journal.ref, last));
  while (!closed) await new Promise((done) => setImmediate(done));
  return took;
}

const show = (took: number[]): string =>
  `longest turn ${Math.max(...took).toFixed(1)} ms of ${took.length}, all ${took.reduce((a, b) => a + b, 0).toFixed(1)} ms`;
for (let round = 0; round < rounds; round++) {
  const once = await turns(Number.POSITIVE_INFINITY);
  const steps = await turns(1 << 16);
  console.log(`at once  ${show(once)}`);
  console.log(`in steps ${show(steps)}, 1/${(Math.max(...once) / Math.max(...steps)).toFixed(1)}`);
}
