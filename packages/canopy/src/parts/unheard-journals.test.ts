import { FramePuller } from '@canopy/federation';
import { MemoryStore, ServerRig, journalId } from '@canopy/federation/testing';
import { Head } from '@canopy/head';
import { JournalScript, type ScriptGroup } from '@canopy/head/testing';
import {
  JOURNAL_START,
  type JournalRef,
  SampleState,
  type Store,
  asDuration,
  asTime,
  journalRef,
  parseLedger,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { openRedisStore } from '@canopy/store';
import { redisIsLeftOut, redisOptions, startRedis } from '@canopy/store/testing';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../clock.js';
import { EVER, HOUR, MINUTE } from '../testing/small-parent.js';
import { BlockKeeper } from './block-keeper.js';
import { JournalLeases } from './journal-leases.js';
import { recoverHead, recoverJournal } from './recovery.js';
import { TileKeeper } from './tile-keeper.js';
import { UnheardJournals } from './unheard-journals.js';

const TTL = asDuration(HOUR);
const PATIENCE = 15_000;
const LOST_AFTER = 300_000;
const ALL = { maxBytes: 1e9, maxEntries: 1e9 };

/** A leaf that scrapes two targets each minute, in key frames every half hour; one has a late series. */
class Leaf {
  readonly clock = new VirtualClock(1_700_006_400_000);
  readonly store = new MemoryStore(this.clock);
  readonly script = new JournalScript('a');
  readonly ref: JournalRef = this.script.ref;
  readonly server = new ServerRig(this.store, this.clock, journalId('a'), {});
  readonly #families = [{ name: 'm', type: 'gauge', help: 'Of pods.', unit: '' } as const];
  readonly groups: ScriptGroup[] = ['one', 'two'].map((pod) =>
    this.script.group({ interval: MINUTE, families: this.#families }).add({ __name__: 'm', pod }),
  );
  #minute = 0;

  /** Scrapes for so many minutes and commits. */
  async run(minutes: number): Promise<void> {
    for (let i = 0; i < minutes; i++, this.#minute++) {
      if (this.#minute === 40) this.groups[1].add({ __name__: 'm', pod: 'late' });
      const isKey = this.#minute % 30 === 0;
      for (const [at, group] of this.groups.entries()) {
        const samples = group.labels.map((_, slot) => at + this.#minute * (slot + 1));
        group.frame(this.clock.now(), samples, isKey);
      }
      this.clock.stepWallClock(MINUTE);
    }
    const entries = this.script.take();
    const expected = (await this.store.journal(this.ref))?.position ?? null;
    const lease = await this.store.acquireLease(this.ref, 'leaf', TTL);
    if (!lease.granted) throw new Error('not granted');
    const { epoch, sequence } = entries[entries.length - 1];
    const rest = { cursor: '', ledger: '', entries, position: { epoch, sequence } };
    await this.store.commit({ lease: lease.lease, expected, ...rest });
  }
}

/** What a parent has for journals that it pulls, over a store that may be wiped. */
class Parent {
  readonly said: string[] = [];
  readonly leases: JournalLeases;
  readonly head: Head;
  readonly tiles: TileKeeper;
  readonly blocks: BlockKeeper;
  readonly puller: FramePuller;
  readonly unheard: UnheardJournals;
  readonly #log = (level: string, message: string): void => {
    if (level !== 'info') this.said.push(`${level} ${message}`);
  };

  readonly store: Store;
  readonly leaf: Leaf;

  constructor(store: Store, leaf: Leaf) {
    this.store = store;
    this.leaf = leaf;
    const clock = leaf.clock;
    const common = { store, log: this.#log, head: () => this.head };
    this.leases = new JournalLeases({ store, clock: systemClock, owner: 'me', ttl: TTL });
    this.head = new Head({
      ...{ clock, windowMs: asDuration(2 * HOUR), tileFrames: 30, outOfOrderWindow: asDuration(0) },
      onTileClosed: (ref, tile) => this.tiles.add(ref, tile),
      ...{ tileSource: store, maxSeries: 1000 },
    });
    this.tiles = new TileKeeper({
      ...{ ...common, leases: this.leases, hasUntoldGaps: () => false },
      oldestReader: () => undefined,
    });
    this.blocks = new BlockKeeper({
      ...{ ...common, clock: systemClock, leases: this.leases, watermark: () => asTime(0) },
      ...{ window: asDuration(2 * HOUR), spans: [], sealDelay: asDuration(HOUR) },
      ...{ abandonedAfter: asDuration(4 * HOUR), grace: asDuration(0) },
      ...{ onTileCorrupt: () => {}, onBlockCorrupt: () => {} },
      mergeBytesMax: () => Promise.resolve(1e9),
    });
    this.puller = new FramePuller({
      ...{ store, clock, owner: 'me', readerName: 'parent', leaseTtl: TTL, log: this.#log },
      ...{ appender: this.head, groupOf: () => undefined, ownJournals: () => new Set() },
      ...{ onWatermark: () => {}, onLoaded: () => Promise.resolve() },
      onStoreWentBack: async (ref, state) => {
        this.tiles.forget(ref);
        this.blocks.forget(ref);
        this.head.dropJournal(ref);
        if (state !== undefined) await recoverJournal(store, this.head, state, () => {});
      },
      ...{ pageBytesMax: 1e8, journalsMax: 10 },
    });
    this.unheard = new UnheardJournals({
      ...{ ...common, clock, leases: this.leases, puller: () => this.puller },
      ...{ isOwn: () => false, patience: () => asDuration(PATIENCE) },
      lostAfter: asDuration(LOST_AFTER),
    });
  }

  async pull(): Promise<void> {
    const target = this.leaf.server.target();
    for (let more = true; more; ) {
      const headers = await this.puller.requestHeaders(target);
      const accept = { accept: this.puller.mediaType };
      const response = await fetch(target.url, { headers: { ...headers, ...accept } });
      const body = new Uint8Array(await response.arrayBuffer());
      ({ more } = await this.puller.take(target, {}, body));
    }
  }

  async round(): Promise<void> {
    const states = await this.store.journals();
    await this.unheard.round(new Map(states.map((state) => [state.ref, state])));
  }

  /** As if the beats of so much time had passed. */
  async wait(ms: number): Promise<void> {
    await this.round();
    this.leaf.clock.advance(ms);
    await this.round();
  }

  /** pod and time of each sample, with its value. */
  async samples(): Promise<Map<string, number>> {
    const snapshot = this.head.snapshot();
    const found = new Map<string, number>();
    for (const { labels, times, from, to, values, states } of await snapshot.select([], EVER)) {
      for (let i = from; i < to; i++) {
        if (states !== null && states[i] !== SampleState.value) continue;
        const name = `${labels[3]} ${times[i]}`;
        expect(found.has(name)).toBe(false);
        found.set(name, values[i]);
      }
    }
    snapshot.release();
    return found;
  }

  async ledger() {
    return parseLedger((await this.store.journal(this.leaf.ref))?.ledger ?? '');
  }

  /** Another process on the same store. */
  async restarted(): Promise<Parent> {
    const next = new Parent(this.store, this.leaf);
    await recoverHead({ store: this.store, head: next.head, log: () => {}, onProgress: () => {} });
    return next;
  }
}

const timeOf = (name: string): number => Number(name.split(' ')[1]);

/** Four hours pulled; two of them are in memory, the rest in the store alone. */
async function pulled(store: Store, leaf: Leaf): Promise<Parent> {
  await leaf.server.listen();
  onTestFinished(() => leaf.server.close());
  const parent = new Parent(store, leaf);
  for (let i = 0; i < 8; i++) {
    await leaf.run(30);
    await parent.pull();
    await parent.tiles.write();
    await parent.tiles.write();
    parent.head.expire(leaf.clock.now());
  }
  await leaf.run(7);
  await parent.pull();
  await parent.round();
  expect(parent.said).toEqual([]);
  return parent;
}

/** Whether whatever is missing lies in gaps of the ledger. */
async function checkNamed(parent: Parent, all: Map<string, number>): Promise<void> {
  const found = await parent.samples();
  const { gaps } = await parent.ledger();
  for (const [name, value] of all) {
    const time = timeOf(name);
    const isNamed = gaps.some(({ from, to }) => from < time && time < to);
    if (!isNamed || found.has(name)) expect(found.get(name), name).toBe(value);
  }
}

async function givesBack(store: Store, wipe: () => Promise<unknown> | void): Promise<void> {
  const leaf = new Leaf();
  const parent = await pulled(store, leaf);
  const all = await parent.samples();
  expect(all.size).toBe(247 * 3 - 40);
  const before = await parent.ledger();

  await wipe();
  await parent.wait(PATIENCE - 1);
  expect(await store.journal(leaf.ref)).toBeUndefined(); // its leaf may still come
  await parent.wait(PATIENCE);
  expect(parent.unheard.stats).toEqual({ givenBack: 1, builtAnew: 0 });
  const { gaps, ...ledger } = await parent.ledger();
  const [{ from, to, cause }] = gaps;
  expect({ from, cause, gaps: gaps.length }).toEqual({ from: 0, cause: 'trimmed', gaps: 1 });
  expect({ ...ledger, gaps: [] }).toMatchObject({ frames: before.frames, bytes: before.bytes });
  const held = new Map([...all].filter(([name]) => timeOf(name) >= to));
  expect(held.size).toBeGreaterThan(2 * 60 * 3);
  expect(held.size).toBeLessThan(all.size);
  const restarted = await parent.restarted();
  for (const one of [parent, restarted]) {
    expect(await one.samples()).toEqual(held);
    expect(one.head.metadata()).toEqual(parent.head.metadata());
  }
  // Nothing is left to do; housekeeping finds all of it at rest.
  await restarted.wait(LOST_AFTER);
  expect(restarted.unheard.stats).toEqual({ givenBack: 0, builtAnew: 0 });
  await restarted.blocks.run(asTime(leaf.clock.now() + 9 * HOUR));
  expect(await store.tiles(leaf.ref)).toEqual([]);
  expect(await restarted.samples()).toEqual(held);

  // And lost again: of what is in memory only, with nothing in the journal that tells of a position.
  await wipe();
  await restarted.wait(PATIENCE);
  expect(restarted.unheard.stats.givenBack).toBe(1);
  await checkNamed(await restarted.restarted(), held);

  // The leaf is back: what its journal has takes the place of what memory had.
  await leaf.run(5);
  await restarted.pull();
  const again = await restarted.samples();
  expect(again.size).toBe(252 * 3 - 40);
  expect(new Map([...again].filter(([name]) => all.has(name)))).toEqual(all);
  expect(await (await restarted.restarted()).samples()).toEqual(again);
  const entries = await store.readEntries(leaf.ref, JOURNAL_START, ALL);
  expect(entries).toHaveLength((await leaf.store.readEntries(leaf.ref, JOURNAL_START, ALL)).length);
  expect(await store.tiles(leaf.ref)).toEqual([]);
  expect(await restarted.ledger()).toMatchObject({ frames: 252 * 2, gaps: [] });
  expect(parent.said.filter((line) => line.includes('not given back'))).toEqual([]);
}

it('gives back to a store what it lost and no source has any more', async () => {
  const leaf = new MemoryStore(new VirtualClock(0));
  await givesBack(leaf, () => leaf.wipe());
});

it.skipIf(redisIsLeftOut())('gives back to a Redis after FLUSHALL', async () => {
  const server = await startRedis();
  onTestFinished(() => server.stop());
  const store = await openRedisStore(redisOptions(server.url));
  onTestFinished(() => store[Symbol.asyncDispose]());
  await givesBack(store, () => server.command('flushall'));
});

it.each(['as of no source', 'as its own'])(
  'gives back %s what a parent has followed that leads since, with the ledger that it saw',
  async (whose) => {
    const leaf = new Leaf();
    const store = new MemoryStore(leaf.clock);
    const before = await pulled(store, leaf);
    const all = await before.samples();
    const known = await before.ledger();
    expect(known.frames).toBeGreaterThan(400);
    const standby = await before.restarted();
    standby.unheard.level((await store.journal(leaf.ref))!);
    store.wipe();
    // What a term before had begun to wait for says nothing.
    standby.unheard.begin();
    if (whose === 'as its own') expect(await standby.unheard.giveBackOwn(leaf.ref)).toBe(true);
    else await standby.wait(PATIENCE);
    expect(standby.unheard.stats.givenBack).toBe(1);
    const { frames, samples, windows } = await standby.ledger();
    expect({ frames, samples, windows }).toEqual({
      ...{ frames: known.frames, samples: known.samples, windows: known.windows },
    });
    await checkNamed(await standby.restarted(), all);
    const other = journalRef(journalId('b'));
    expect(await standby.unheard.giveBackOwn(other)).toBe(false);
    expect(await store.journal(other)).toBeUndefined();
  },
);

it('names what is missing wherever it is killed, and goes on', async () => {
  const WRITES = new Set(['commit', 'putTiles', 'trimJournal']);
  for (let writes = 0; ; writes++) {
    const leaf = new Leaf();
    const store = new MemoryStore(leaf.clock);
    let left = Number.POSITIVE_INFINITY;
    const killed = new Proxy<Store>(store, {
      get: (_, name: keyof Store) => {
        const method = store[name] as (...args: unknown[]) => unknown;
        if (typeof method !== 'function') return method;
        return (...args: unknown[]) => {
          if (WRITES.has(name as string) && left-- <= 0) throw new Error('killed');
          return method.apply(store, args);
        };
      },
    });
    const parent = await pulled(killed, leaf);
    const all = await parent.samples();
    store.wipe();
    left = writes;
    await parent.wait(PATIENCE);
    const isDone = left >= 0;
    expect(parent.unheard.stats.givenBack).toBe(isDone ? 1 : 0);
    left = Number.POSITIVE_INFINITY;
    if (writes > 0) await checkNamed(await parent.restarted(), all);
    if (isDone) break;
    await parent.round();
    expect(parent.unheard.stats.givenBack).toBe(1);
    await checkNamed(await parent.restarted(), all);
    expect((await parent.ledger()).gaps[0].to).toBeLessThan(leaf.clock.now() - 2 * HOUR);
  }
});

it('names what an older state of the store lacks of a journal that nobody sends, and seals it', async () => {
  const leaf = new Leaf();
  const store = new MemoryStore(leaf.clock);
  const parent = await pulled(store, leaf);
  const older = store.copy();
  await leaf.run(40);
  await parent.pull();
  const all = await parent.samples();
  store.become(older);
  const late = asTime(leaf.clock.now() + 9 * HOUR);
  await parent.blocks.run(late);
  expect(await store.blocks(leaf.ref)).toEqual([]);
  await parent.wait(LOST_AFTER - 1);
  expect((await parent.samples()).size).toBe(all.size); // its leaf may still come
  await parent.wait(LOST_AFTER);
  await parent.puller.settle();
  expect(parent.unheard.stats).toEqual({ givenBack: 0, builtAnew: 1 });
  expect((await parent.samples()).size).toBeLessThan(all.size);
  await checkNamed(parent, all);
  await parent.blocks.run(late);
  expect((await store.blocks(leaf.ref)).length).toBeGreaterThan(0);
});
