/** A group that is silent for longer than heads wait for it, in one epoch: what it sends then is seen at every level. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Head } from '@canopy/head';
import {
  type GroupWriter,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type Store,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { JournalTrimmer, JournalWriter, openEmbeddedStore } from '@canopy/store';
import { afterEach, expect, it } from 'vitest';
import { JournalLeases } from './journal-leases.js';
import { recoverHead } from './recovery.js';
import { TileKeeper } from './tile-keeper.js';

const HOUR = 3_600_000;
const WINDOW = asDuration(2 * HOUR);
const OWNER = { owner: 'me', ttl: asDuration(1e12) };
const cleanUp: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const end of cleanUp.splice(0).reverse()) await end();
});

async function openStore(clock: VirtualClock): Promise<Store> {
  const path = await mkdtemp(join(tmpdir(), 'canopy-silence-'));
  cleanUp.push(() => rm(path, { recursive: true, force: true }));
  const options = { path, maxBytes: 2 ** 26, clock, log: () => {}, onCorrupt: () => {} };
  const store = await openEmbeddedStore(options);
  cleanUp.push(async () => store[Symbol.asyncDispose]());
  return store;
}

/** Store, head and tiles of one level, as after a start. */
async function startLevel(clock: VirtualClock, store: Store) {
  const lost: string[] = [];
  const keeper: TileKeeper = new TileKeeper({
    ...{
      store,
      leases: new JournalLeases({ ...OWNER, store, clock }),
      head: () => head,
      oldestReader: () => undefined,
      hasUntoldGaps: () => false,
      log: () => {},
    },
  });
  const head = new Head({
    ...{ clock, windowMs: WINDOW, tileFrames: 5, outOfOrderWindow: asDuration(0) },
    onTileClosed: (ref, tile) => keeper.add(ref, tile),
    onFramesLost: (_ref, { group, cause }) => void lost.push(`${group} ${cause}`),
    ...{ tileSource: store, maxSeries: 1000 },
  });
  await recoverHead({ store, head, log: () => {}, onProgress: () => {} });
  const expire = async (): Promise<void> => {
    head.expire(clock.now());
    await keeper.write();
    // As retention does, or a block that takes their place.
    for (const { ref } of await store.journals()) {
      const old = (await store.tiles(ref)).filter(({ maxTime }) => maxTime < clock.now() - WINDOW);
      const lease = await store.acquireLease(ref, OWNER.owner, OWNER.ttl);
      if (old.length === 0 || !lease.granted) continue;
      await store.dropTiles(lease.lease, old);
      head.dropTiles(ref, old);
    }
  };
  return { store, head, lost, expire };
}

type Level = Awaited<ReturnType<typeof startLevel>>;

async function values(head: Head, clock: VirtualClock): Promise<string[]> {
  const snapshot = head.snapshot();
  const range = { minTime: asTime(clock.now() - HOUR), maxTime: clock.now() };
  const series = await snapshot.select([], range);
  snapshot.release();
  return series
    .filter(({ labels }) => JSON.stringify([...labels]).includes('late'))
    .flatMap((each) => [...each.values.subarray(each.from, each.to)].map((value) => `${value}`));
}

it.each(['aligned', 'loose'] as const)(
  'of %s samples, at a leaf and at its parent, and after restarts',
  async (kind) => {
    const clock = new VirtualClock(1_700_000_000_000);
    const parent = await startLevel(clock, await openStore(clock));
    const leaf = await startLevel(clock, await openStore(clock));
    const pulled: JournalEntry[] = [];
    const journal = await JournalWriter.open({
      ...{
        owner: OWNER.owner,
        leaseTtl: OWNER.ttl,
        store: leaf.store,
        clock,
        randomBytes,
        log: () => {},
        pathIdentity: '',
      },
      ...{ commitInterval: asDuration(1), commitBytes: 1e6, queueBytesMax: 1e6 },
      keyFrameEvery: 5,
      onCommitted: (ref, entries) => {
        leaf.head.apply(ref, entries);
        pulled.push(...entries);
      },
      completeUpTo: () => clock.now(),
    });
    const trimmer = new JournalTrimmer({
      ...{ store: leaf.store, journal, maxAge: asDuration(24 * HOUR), maxBytes: 0 },
      ...{ dropLayouts: true, log: () => {} },
    });
    const { ref } = journal;
    const grant = await parent.store.acquireLease(ref, OWNER.owner, OWNER.ttl);
    if (!grant.granted) throw new Error('not granted');
    let at: JournalPosition | null = null;
    const pull = async (): Promise<void> => {
      const flushed = journal.flush();
      await clock.advance(0);
      await flushed;
      const entries = pulled.splice(0);
      if (entries.length === 0) return;
      const { epoch, sequence } = entries.at(-1)!;
      const commit = { lease: grant.lease, expected: at, position: (at = { epoch, sequence }) };
      await parent.store.commit({ ...commit, entries, cursor: '', ledger: '{}' });
      parent.head.apply(ref, entries);
    };
    const group = (name: string, kindOf: 'aligned' | 'loose'): GroupWriter => {
      const [target, interval] = [labelsFromObject({ job: name }), asDuration(15_000)];
      const writer = journal.openGroup({ kind: kindOf, target, scrapeUrl: '', interval });
      writer.addSlot(labelsFromObject({ __name__: name }), -1);
      return writer;
    };
    const [steady, late] = [group('steady', 'aligned'), group('late', kind)];
    const writeLate = (value: number): void => {
      const [one, now] = [Uint8Array.of(1), Float64Array.of(clock.now())];
      if (kind === 'aligned') late.write(clock.now(), one, Float64Array.of(value));
      else late.writeLoose(1, Uint32Array.of(0), now, one, Float64Array.of(value));
    };
    const run = async (first: number): Promise<void> => {
      for (let value = first; value < first + 3; value++) {
        await clock.advance(15_000);
        steady.write(clock.now(), Uint8Array.of(1), Float64Array.of(value));
        writeLate(value);
        await pull();
      }
    };
    await run(1);
    for (let quarter = 0; quarter < 27 * 4; quarter++) {
      await clock.advance(HOUR / 4);
      steady.write(clock.now(), Uint8Array.of(1), Float64Array.of(quarter));
      await pull();
      await leaf.expire();
      await parent.expire();
      await trimmer.trim(clock.now());
    }
    expect(await values(parent.head, clock)).toEqual([]);
    // What the silence is about: nothing is kept for the group any more.
    expect(await layoutsOf(parent, ref)).toBe(1);
    await run(4);
    const restarted = [await startLevel(clock, leaf.store), await startLevel(clock, parent.store)];
    for (const { head, lost } of [leaf, parent, ...restarted]) {
      expect(await values(head, clock)).toEqual(['4', '5', '6']);
      expect(head.stats.framesUndecodable).toBe(0);
      expect(lost).toEqual([]);
    }
  },
);

const layoutsOf = async ({ store }: Level, ref: JournalRef): Promise<number> =>
  (await store.readLayouts(ref)).length;
