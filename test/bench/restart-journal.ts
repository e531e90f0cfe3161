/**
 * Fills a store as a parent does that has pulled for two hours: through the journal writer, the head and the
 * tile keeper themselves, in virtual time. `restart-journal.ts ROLE STORE TARGETS SERIES HOURS`; STORE is a
 * Redis URL or a folder. With ROLE `leaf` it is the own journal of a leaf, kept whole. The last line it prints is what a query must find, as JSON.
 */
import { randomBytes } from 'node:crypto';
import { Head } from '@canopy/head';
import {
  type Clock,
  type DurationMs,
  type JournalRef,
  type Store,
  type StoredTile,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { JournalWriter, openEmbeddedStore, openRedisStore } from '@canopy/store';
import { systemClock } from '../../packages/canopy/src/clock.js';
import { RecentTiles } from '../../packages/canopy/src/parts/recent-tiles.js';
import { TileKeeper } from '../../packages/canopy/src/parts/tile-keeper.js';

const [role, place, ...numbers] = process.argv.slice(2);
const isLeaf = role === 'leaf';
const [TARGETS, SERIES, HOURS] = numbers.map(Number);
const INTERVAL = asDuration(15_000);
const KEY_FRAME_EVERY = 120;
const CHANGED = 0.2;
const TTL = asDuration(3_600_000);
const OWNER = 'generator';
/** Tiles leave the generator's memory soon: they are in the store. */
const WINDOW = asDuration(600_000);

const SCRAPES = Math.round((HOURS * 3_600_000) / INTERVAL);
const begin = Math.floor((Date.now() - HOURS * 3_600_000) / INTERVAL) * INTERVAL;
let virtual = begin;
const clock: Clock = {
  now: () => asTime(virtual),
  monotonic: () => performance.now(),
  after(_delay: DurationMs, fire: () => void) {
    const immediate = setImmediate(fire);
    return { cancel: () => clearImmediate(immediate) };
  },
};

const log = (level: string, message: string, fields: unknown = ''): void => {
  if (level !== 'debug' && level !== 'info') console.error(level, message, fields);
};
/** Time-outs of stores are of the real world. */
const common = { clock: systemClock, log, onCorrupt: () => {} };
const store: Store = place.includes('://')
  ? await openRedisStore({
      ...{ url: place, keyPrefix: 'canopy:', commandTimeout: asDuration(30_000) },
      ...{ waitReplicas: 0, waitTimeout: asDuration(1000) },
      ...{ sliceBytesMax: 64 * 1024 * 1024, ...common },
    })
  : await openEmbeddedStore({ path: place, maxBytes: 64 * 2 ** 30, ...common });

/** Not a parent's own journal: its documents have other names. */
const documents = new Proxy(store, {
  get(target, name) {
    if (name === 'getDocument') return (key: string) => target.getDocument(`bench/${key}`);
    if (name === 'putDocument') {
      return (key: string, text: string | undefined) => target.putDocument(`bench/${key}`, text);
    }
    const value = Reflect.get(target, name) as unknown;
    return typeof value === 'function' ? (value.bind(target) as unknown) : value;
  },
});

const kept = { store, owner: OWNER, leaseTtl: TTL, log, head: () => head };
const recent = isLeaf
  ? new RecentTiles({ ...kept, clock, window: asDuration(7_200_000), bytesMax: 2 ** 40 })
  : undefined;
const keeper = recent?.keeper ?? new TileKeeper({ ...kept, oldestReader: () => undefined });
const head = new Head({
  clock,
  windowMs: WINDOW,
  tileFrames: KEY_FRAME_EVERY,
  outOfOrderWindow: asDuration(0),
  onTileClosed: (ref: JournalRef, tile: StoredTile) => keeper.add(ref, tile),
  tileSource: store,
  maxSeries: 10_000_000,
});
const journal = await JournalWriter.open({
  ...{ store: isLeaf ? store : documents, clock, owner: OWNER, leaseTtl: TTL, log },
  randomBytes: (size) => randomBytes(size),
  commitInterval: asDuration(1000),
  commitBytes: 1024 * 1024,
  keyFrameEvery: KEY_FRAME_EVERY,
  queueBytesMax: 256 * 1024 * 1024,
  onCommitted: (ref, entries) => void head.apply(ref, entries),
  completeUpTo: () => asTime(virtual - 1),
  pathIdentity: '',
});

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
  await journal.flush();
  await keeper.write();
  head.expire(asTime(virtual));
  if (performance.now() - told > 5000) {
    told = performance.now();
    console.log(`  ${Math.floor((100 * scrape) / SCRAPES)} % of ${SCRAPES} scrapes`);
  }
}
await keeper.write();
// As after a kill, but for the wait until leases have run out.
await store.releaseLease(journal.lease);
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
    tiles: keeper.stats.stored,
  }),
);
process.exit(0);
