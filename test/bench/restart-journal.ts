/**
 * Fills a store as a parent does that has pulled for two hours (generated-journal.ts).
 * `restart-journal.ts ROLE STORE TARGETS SERIES HOURS`; STORE is a Redis URL or a folder. With ROLE `leaf` it is
 * the own journal of a leaf, kept whole. The last line it prints is what a query must find, as JSON.
 */
import { asDuration, asTime, labelsFromObject } from '@canopy/model';
import type { JournalWriter } from '@canopy/store';
import { openGenerated } from './generated-journal.js';

const [role, place, ...numbers] = process.argv.slice(2);
const [TARGETS, SERIES, HOURS] = numbers.map(Number);
const INTERVAL = asDuration(15_000);
const CHANGED = 0.2;

const SCRAPES = Math.round((HOURS * 3_600_000) / INTERVAL);
const begin = Math.floor((Date.now() - HOURS * 3_600_000) / INTERVAL) * INTERVAL;
let virtual = begin;
const generated = await openGenerated(role as 'leaf' | 'parent', place, () => asTime(virtual));
const { journal, store } = generated;

let state = 1;
/** Uniform in [0, 1), the same sequence each time. */
function random(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 4_294_967_296;
}

interface Target {
  readonly writer: ReturnType<JournalWriter['openGroup']>;
  readonly values: Float64Array;
}

function openTarget(number: number): Target {
  const target = labelsFromObject({ instance: `target-${number}`, job: 'farm' });
  const meta = { kind: 'aligned' as const, target, scrapeUrl: `http://farm/${number}` };
  const writer = journal.openGroup({ ...meta, interval: INTERVAL });
  for (let i = 0; i < SERIES; i++) {
    const labels = {
      __name__: `farm_metric_${Math.floor(i / 100)}_total`,
      path: `/api/v1/resource/${i % 100}`,
      zone: `zone-${i % 3}`,
      instance: `target-${number}`,
      job: 'farm',
    };
    writer.addSlot(labelsFromObject(labels), -1);
  }
  const values = Float64Array.from({ length: SERIES }, () => Math.floor(random() * 100_000));
  return { writer, values };
}

const targets = Array.from({ length: TARGETS }, (_, i) => openTarget(i));
const states = new Uint8Array(SERIES).fill(1);
let told = performance.now();
for (let scrape = 0; scrape < SCRAPES; scrape++) {
  for (let i = 0; i < TARGETS; i++) {
    virtual = begin + scrape * INTERVAL + Math.floor((i * INTERVAL) / TARGETS);
    const { writer, values } = targets[i];
    for (let change = Math.floor(SERIES * CHANGED); change > 0; change--) {
      values[Math.floor(random() * SERIES)] += 1 + Math.floor(random() * 1000);
    }
    writer.write(asTime(virtual), states, values);
    if (i % 50 === 49) await journal.flush();
  }
  await generated.settle(asTime(virtual));
  if (performance.now() - told > 5000) {
    told = performance.now();
    console.log(`  ${Math.floor((100 * scrape) / SCRAPES)} % of ${SCRAPES} scrapes`);
  }
}
await generated.release();
const state0 = (await store.journal(journal.ref))!;
const usage = await store.usage();
await store[Symbol.asyncDispose]();
const oldest = begin + INTERVAL;
console.log(
  JSON.stringify({
    oldest,
    newest: virtual,
    scrapes: SCRAPES,
    sum: targets[0].values.reduce((sum, value) => sum + value, 0),
    journalBytes: state0.entryBytes,
    storeBytes: usage.usedBytes,
    tiles: generated.keeper.stats.stored,
  }),
);
process.exit(0);
