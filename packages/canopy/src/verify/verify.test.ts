/** The count anew over journal, tiles and blocks as a parent makes them; and what it finds. */
import { PassThrough } from 'node:stream';
import { MemoryStore } from '@canopy/federation/testing';
import { Head } from '@canopy/head';
import { JournalScript, type ScriptSample } from '@canopy/head/testing';
import {
  CanopyError,
  EntryKind,
  type JournalPosition,
  type Ledger,
  type LedgerWindow,
  type Store,
  addGap,
  addToWindow,
  asDuration,
  asTime,
  emptyLedger,
  jobIn,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { openRedisStore } from '@canopy/store';
import { redisIsLeftOut, redisOptions, startRedis } from '@canopy/store/testing';
import { expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { runVerify } from '../commands/verify-ledger.js';
import { BlockKeeper } from '../parts/block-keeper.js';
import { JournalLeases } from '../parts/journal-leases.js';
import { TileKeeper } from '../parts/tile-keeper.js';
import { FrameLog } from './frame-log.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const TTL = asDuration(12 * 3_600_000);

/** One source, scraped each minute, everything real but the store; its ledger is counted frame by frame. */
class Parent {
  readonly clock = new VirtualClock(1_700_006_400_000 - (1_700_006_400_000 % (24 * HOUR)));
  readonly store: Store;
  readonly ledger: Ledger = emptyLedger();
  readonly #script = new JournalScript('a');
  readonly ref = this.#script.ref;
  readonly group = this.#script
    .group({ interval: MINUTE })
    .add({ __name__: 'm' }, { __name__: 'n' });
  readonly head: Head;
  readonly tiles: TileKeeper;
  readonly blocks: BlockKeeper;
  #position: JournalPosition | null = null;
  #minutes = 0;
  /** Not '': of a journal that is pulled. */
  cursor = '';

  constructor(store?: Store) {
    this.store = store ?? new MemoryStore(this.clock);
    const { clock } = this;
    const leases = new JournalLeases({ store: this.store, clock, owner: 'me', ttl: TTL });
    const keeping = { store: this.store, leases, log: () => {} };
    const head: Head = new Head({
      ...{ clock: this.clock, windowMs: asDuration(2 * HOUR), tileFrames: 30, maxSeries: 1000 },
      ...{ outOfOrderWindow: asDuration(0), tileSource: this.store },
      onTileClosed: (ref, tile) => this.tiles.add(ref, tile),
    });
    this.head = head;
    this.tiles = new TileKeeper({
      ...keeping,
      head: () => head,
      oldestReader: () => undefined,
      hasUntoldGaps: () => false,
    });
    this.blocks = new BlockKeeper({
      ...{ ...keeping, clock: systemClock, head: () => head, watermark: () => this.clock.now() },
      ...{ window: asDuration(2 * HOUR), spans: [asDuration(8 * HOUR)] },
      ...{ sealDelay: asDuration(HOUR), grace: asDuration(HOUR) },
      ...{ abandonedAfter: asDuration(24 * HOUR), mergeBytesMax: () => Promise.resolve(1e9) },
      ...{ onTileCorrupt: () => {}, onBlockCorrupt: () => {} },
    });
  }

  /** So many scrapes, kept as housekeeping keeps them; some samples are absent, some stale. */
  async scrape(count: number, keep = true): Promise<void> {
    for (const end = this.#minutes + count; this.#minutes < end; this.#minutes++) {
      const minute = this.#minutes;
      const absent: ScriptSample = minute % 7 === 0 ? 'stale' : undefined;
      const samples = [minute, minute % 7 < 2 ? absent : 1];
      this.group.frame(this.clock.now(), samples, minute % 30 === 0);
      const taken = samples.filter((sample) => sample !== undefined).length;
      addToWindow(this.ledger.windows, this.clock.now(), taken);
      this.ledger.frames++;
      this.ledger.samples += taken;
      const job = jobIn(this.ledger, '');
      Object.assign(job, { scraped: job.scraped + 1, journalled: job.journalled + 1 });
      job.frames++;
      await this.commit();
      if (keep && minute % 10 === 9) {
        this.head.expire(this.clock.now());
        await this.tiles.write();
        await this.blocks.run(this.clock.now());
        await this.tiles.write();
      }
      this.clock.stepWallClock(MINUTE);
    }
  }

  /** Stores what the script has made, with the ledger as it is. */
  async commit(): Promise<void> {
    const entries = this.#script.take();
    const outcome = await this.store.acquireLease(this.ref, 'me', TTL);
    if (!outcome.granted) throw new Error('not granted');
    const last = entries.at(-1) ?? { epoch: 1, sequence: this.#position!.sequence + 1 };
    const position = { epoch: last.epoch, sequence: last.sequence };
    const rest = { cursor: this.cursor, ledger: JSON.stringify(this.ledger), entries, position };
    await this.store.commit({ lease: outcome.lease, expected: this.#position, ...rest });
    this.#position = position;
    this.head.apply(this.ref, entries);
  }

  async verify(open: () => Promise<Store> = () => Promise.resolve(undying(this.store))) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const exitCode = await runVerify({ open, stdout, stderr, monotonic: () => 0 });
    const text = (stream: PassThrough) => (stream.read() as Buffer | null)?.toString() ?? '';
    return { exitCode, out: text(stdout), err: text(stderr) };
  }
}

/** The store for one look: the look's end is not the store's. `change` takes the place of methods. */
function undying(store: Store, change: Partial<Store> = {}): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === Symbol.asyncDispose) return () => Promise.resolve();
      const own: unknown = Reflect.get(change, name);
      const value: unknown = own ?? Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

it('agrees with a parent’s store: journal, tiles, blocks, each frame once', async () => {
  const parent = new Parent();
  await parent.scrape(40);
  expect(await parent.verify()).toMatchObject({ exitCode: 0 });
  await parent.scrape(13 * 60);
  expect(parent.head.blocks.list(parent.ref).length).toBeGreaterThan(2);
  const { exitCode, out, err } = await parent.verify();
  expect(err).toBe('');
  const [, cells] = out.split('\n');
  expect(cells).toMatch(/^own aaaaaaaa +\d+ +820 +1523 +0 +agrees$/);
  expect(exitCode).toBe(0);
});

it.skipIf(redisIsLeftOut())('agrees with a real Redis', async () => {
  const server = await startRedis();
  try {
    await using store = await openRedisStore(redisOptions(server.url));
    const parent = new Parent(store);
    await parent.scrape(4 * 60);
    const blocks = await store.blocks(parent.ref);
    expect([blocks.length, (await store.tiles(parent.ref)).length > 0]).toEqual([1, true]);
    const verify = () => parent.verify(() => openRedisStore(redisOptions(server.url)));
    expect((await verify()).out).toMatch(/^own aaaaaaaa +2 +240 +445 +0 +agrees$/m);
    parent.ledger.windows[0][3]++;
    await parent.commit();
    const { exitCode, out } = await verify();
    expect(exitCode).toBe(1);
    expect(out).toContain('224 samples in the ledger, 223 in the store\n');
  } finally {
    await server.stop();
  }
});

it('finds frames that are in the ledger and not in the store, and the reverse', async () => {
  const parent = new Parent();
  await parent.scrape(5 * 60);
  const { windows } = parent.ledger;
  windows[1][2]++;
  windows[1][3] += 5;
  await parent.commit();
  const { exitCode, out } = await parent.verify();
  expect(exitCode).toBe(1);
  const when = '2023-11-15T02:00:00.000Z to 2023-11-15T04:00:00.000Z';
  expect(out).toContain(`${when}: 121 frames in the ledger, 120 in the store\n`);
  expect(out).toMatch(/: \d+ samples in the ledger, \d+ in the store\n$/);
  windows[1][2] -= 2;
  windows[1][3] -= 5;
  await parent.commit();
  expect((await parent.verify()).out).toContain('119 frames in the ledger, 120 in the store\n');
});

it('holds a pulled journal against the samples that its writer told, where both have as many frames', async () => {
  const parent = new Parent();
  parent.cursor = 'c';
  const { ledger } = parent;
  const tell = (more: number) => {
    const windows = ledger.windows.map((window): LedgerWindow => [...window]);
    windows[0][3] += more;
    windows[1][2] += 1; // more frames than were pulled: of these nobody can say
    windows[1][3] += 7;
    const position = { epoch: 1, sequence: 1 };
    ledger.trail = [{ name: 'leaf', position, frames: 0, jobs: {}, windows }];
  };
  await parent.scrape(5 * 60);
  jobIn(ledger, '').refused = { forged_label: 3 };
  await parent.commit();
  expect((await parent.verify()).out).toMatch(/^aaaaaaaa +3 +300 +557 +0 +agrees$/m); // untold
  tell(0);
  await parent.commit();
  expect((await parent.verify()).out).toMatch(/^leaf +3 +300 +557 +0 +agrees$/m);
  tell(2);
  await parent.commit();
  const { exitCode, out } = await parent.verify();
  expect(exitCode).toBe(1);
  expect(out.match(/in the ledger/g)!.length).toBe(1);
  expect(out).toContain('225 samples in the ledger, 223 in the store\n');
});

it('takes a loss that a gap names for what it is', async () => {
  const parent = new Parent();
  await parent.scrape(5 * 60);
  parent.ledger.windows[1][2]++;
  const from = asTime(parent.clock.now() - 3 * HOUR);
  const to = asTime(from + 1);
  addGap(parent.ledger, { group: 0, from, to, cause: 'corrupt', frames: 1 });
  await parent.commit();
  const { exitCode, out } = await parent.verify();
  expect(out).toContain('121 frames in the ledger, 120 in the store (gap corrupt)\n');
  expect(out).toContain('agrees, losses named');
  expect(exitCode).toBe(0);
});

it('finds a ledger that does not add up, and records that cannot be read', async () => {
  const parent = new Parent();
  await parent.scrape(60, false);
  jobIn(parent.ledger, '').scraped += 2;
  await parent.commit();
  const { exitCode, out } = await parent.verify();
  expect(exitCode).toBe(1);
  expect(out).toContain('62 scrapes, of which 60 are journalled or refused\n');
  // Frame 40 is damaged, and with it all up to the next key frame.
  const readEntries: Store['readEntries'] = async (...asked) => {
    const entries = await parent.store.readEntries(...asked);
    return entries.filter(({ kind, sequence }) => kind !== EntryKind.frame || sequence !== 41);
  };
  const damaged = await parent.verify(async () => undying(parent.store, { readEntries }));
  expect(damaged.out).toContain('60 frames in the ledger, 59 in the store\n');
  expect(damaged.out).toContain('20 stored records cannot be read\n');
});

it('reads a store again that moves meanwhile, and says so where it does not rest', async () => {
  const parent = new Parent();
  await parent.scrape(4 * 60);
  let looks = 0;
  const restless = (until: number) => async () => {
    looks++;
    const readTiles: Store['readTiles'] = async (ref, tiles) => {
      const read = await parent.store.readTiles(ref, tiles);
      return looks < until ? read.map(() => undefined) : read;
    };
    return undying(parent.store, { readTiles });
  };
  expect((await parent.verify(restless(4))).exitCode).toBe(0);
  expect(looks).toBe(4); // one for the list of journals
  looks = 0;
  const { exitCode, out } = await parent.verify(restless(1000));
  expect(exitCode).toBe(1);
  expect(out).toContain('the store moved on while it was read; try again later');
});

it('counts what was dropped by age no more', async () => {
  const parent = new Parent();
  await parent.scrape(9 * 60);
  const outcome = await parent.store.acquireLease(parent.ref, 'me', TTL);
  if (!outcome.granted) throw new Error('not granted');
  const blocks = await parent.store.blocks(parent.ref);
  await parent.store.dropBlocks(outcome.lease, [blocks.sort((a, b) => a.from - b.from)[0]]);
  const { exitCode, out } = await parent.verify();
  expect(out).toMatch(/^own aaaaaaaa +\d+ +\d+ +\d+ +[1-9]\d* +agrees$/m);
  expect(exitCode).toBe(0);
});

it('says so where there is no store', async () => {
  const parent = new Parent();
  const open = () => Promise.reject(new CanopyError('storage_unavailable', 'no store\u001b[2J'));
  expect(await parent.verify(open)).toEqual({
    ...{ exitCode: 1, out: '', err: 'canopy: no store\\u001b[2J\n' },
  });
});

it('keeps frames of a group in order, without those that a tile has', () => {
  const log = new FrameLog();
  for (let i = 1; i <= 100; i++) log.add(i * 2, i % 5, i);
  expect([log.first, log.length]).toEqual([2, 100]);
  log.drop(0, 150);
  log.drop(190, 191);
  const left: number[] = [];
  log.each((_window, samples) => left.push(samples));
  expect(left).toEqual([...Array.from({ length: 19 }, (_, i) => 76 + i), 96, 97, 98, 99, 100]);
  expect(log.first).toBe(152);
});
