/**
 * What a hop costs without the network: making a page from the store, compressing it, and taking it
 * in up to the appender. 50 groups of 1,000 slots, a fifth of them changing. Rival: the same
 * samples as gzipped text that `/federate` would send.
 */
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { TextEncoder004 } from '@canopy/exposition';
import { ListedLabels } from '@canopy/exposition/testing';
import { type ApplyTotals, type JournalEntry, labelsFromObject } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { FixtureJournal } from '../src/testing/fixture-journal.js';
import { MemoryStore } from '../src/testing/memory-store.js';
import { PullRig, ServerRig, id } from '../src/testing/rig.js';

const GROUPS = Number(process.argv[2] ?? 50);
const SLOTS = 1000;
const FRAMES = 20;
const SAMPLES = GROUPS * SLOTS * FRAMES;

let seed = 1;
const random = (): number => {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed / 2_147_483_647;
};

const clock = new VirtualClock();
const store = new MemoryStore(clock);
const journal = new FixtureJournal(store, id('a'));
journal.keyEvery = 120;
const columns = Array.from({ length: GROUPS }, () =>
  Array.from({ length: SLOTS }, () => Math.floor(random() * 1e6)),
);
const names = Array.from({ length: SLOTS }, (_, i) => ({
  __name__: `metric_${i >> 3}_total`,
  shard: String(i & 7),
}));
for (let g = 0; g < GROUPS; g++) journal.layout(g + 1, names);
for (let f = 0; f < FRAMES; f++) {
  for (let g = 0; g < GROUPS; g++) {
    const values = columns[g];
    for (let i = 0; i < SLOTS; i++) if (random() < 0.2) values[i] += Math.floor(random() * 100);
    journal.frame(g + 1, 1_700_000_000_000 + f * 5000, values);
  }
}
await journal.commit();

/** Counts only: the head has benches of its own. */
const sink = {
  apply: (_ref: string, entries: readonly JournalEntry[]): ApplyTotals => ({
    frames: entries.length,
    samples: 0,
    repeated: 0,
    undecodable: 0,
    refused: {},
  }),
};

const timed = async <T>(task: () => Promise<T>): Promise<[T, number]> => {
  const start = performance.now();
  const result = await task();
  return [result, performance.now() - start];
};
const ns = (ms: number) => `${((ms * 1e6) / SAMPLES).toFixed(2)} ns a sample`;

for (const selectors of [[], ['{shard="3"}']]) {
  const server = await new ServerRig(store, clock, id('a'), {
    pageBytes: 1 << 30,
    pageTime: 1e6 as never,
  }).listen();
  const parent = new PullRig(new MemoryStore(clock), clock, { appender: sink as never });
  const target = server.target(...selectors);
  // The first rounds warm the machine up.
  for (let i = 0; i < 3; i++) await parent.ask(target);
  const [{ body }, serving] = await timed(() => parent.ask(target));
  for (let i = 0; i < 3; i++) {
    const other = new PullRig(new MemoryStore(clock), clock, { appender: sink as never });
    await other.puller.take(target, {}, body.slice());
  }
  const [, taking] = await timed(() => parent.puller.take(target, {}, body));
  const [packed, packing] = await timed(async () =>
    brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  );
  console.log(selectors.length === 0 ? 'all of the journal' : 'an eighth of each group');
  console.log(`  serve ${ns(serving)}, take ${ns(taking)}, brotli ${ns(packing)}`);
  const size = (bytes: Uint8Array) => (bytes.length / SAMPLES).toFixed(3);
  console.log(`  ${size(body)} bytes a sample, ${size(packed)} compressed`);
  await server.close();
}

let text = 0;
let zipped = 0;
const [, writing] = await timed(async () => {
  const chunks: Buffer[] = [];
  const listed = new ListedLabels();
  const encoder = new TextEncoder004(listed);
  for (let g = 0; g < GROUPS; g++) {
    for (let i = 0; i < SLOTS; i++) {
      const labels = labelsFromObject({ ...names[i], job: 'test', instance: `i${g}` });
      encoder.sample(listed.add(labels), columns[g][i], 1_700_000_000_000);
      if (encoder.full) chunks.push(Buffer.from(encoder.take()));
    }
  }
  chunks.push(encoder.take());
  const whole = Buffer.concat(chunks);
  text = whole.length;
  zipped = gzipSync(whole, { level: 1 }).length;
});
const once = GROUPS * SLOTS;
const perSample = (amount: number) => (amount / once).toFixed(1);
console.log(
  `rival, text: ${perSample(writing * 1e6)} ns a sample, ` +
    `${perSample(text)} bytes, ${perSample(zipped)} gzipped`,
);
