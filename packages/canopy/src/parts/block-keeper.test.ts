import {
  type BlockMeta,
  JOURNAL_START,
  type JournalRef,
  type Store,
  asDuration,
  asTime,
  blockName,
  makeMatcher,
} from '@canopy/model';
import { expect, it } from 'vitest';
import { EVER, HOUR, MINUTE, SmallParent, TTL } from '../testing/small-parent.js';
import { systemClock } from '../clock.js';
import type { BlockKeeperOptions } from './block-keeper.js';
import { JournalLeases } from './journal-leases.js';
import { recoverHead } from './recovery.js';
import { SealedSource } from './sealed-source.js';

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes!).toString('hex');

it('seals a window once its source is past it, and merges windows', async () => {
  const parent = new SmallParent();
  const start = parent.clock.now();
  const group = parent.group('one');
  for (let minute = 0; minute < 30 * 60; minute++) {
    group.frame(parent.clock.now(), [minute], minute % 30 === 0);
    await parent.take();
    parent.watermark = parent.clock.now();
    if (minute % 10 === 9) await parent.keep();
    const check = (at: number, expected: string[]) => {
      if (minute === at) expect(parent.windows(), `minute ${at}`).toEqual(expected);
    };
    check(179, []);
    check(189, ['0-2']);
    check(10 * 60, ['0-2', '2-4', '4-6', '6-8']);
    check(11 * 60 + 20, ['0-8', '8-10']);
    check(30 * 60 - 1, ['0-24', '0-2', '2-4']);
    parent.clock.stepWallClock(MINUTE);
  }
  expect(await parent.count()).toEqual({ one: 1800 });
  // What lies in no block is little, and only what the window covers is in memory.
  expect(parent.head.blocks.looseTiles(parent.ref).length).toBeLessThan(8);
  const range = { minTime: asTime(start + HOUR), maxTime: asTime(start + HOUR + 9 * MINUTE) };
  expect(await parent.count(range)).toEqual({ one: 10 });
  expect(parent.said.filter((line) => !line.startsWith('info'))).toEqual([]);
});

it('says how far a merge is, and what it made free; a select reads of a block what it needs', async () => {
  const parent = new SmallParent();
  const begin = parent.clock.now();
  const groups = Array.from({ length: 20 }, (_, i) => parent.group(`pod${i}`));
  for (let minute = 0; minute < 12 * 60; minute++) {
    for (const group of groups) {
      group.frame(parent.clock.now(), [(minute * 7919) % 1000], minute % 30 === 0);
    }
    parent.clock.stepWallClock(MINUTE);
  }
  await parent.take();
  parent.watermark = parent.clock.now();
  const logged: string[] = [];
  const log: BlockKeeperOptions['log'] = (level, message, fields) =>
    void logged.push(`${level} ${message} ${JSON.stringify(fields)}`);
  // A slow one: each look at the clock is seconds later.
  let seconds = 0;
  const clock = { ...systemClock, monotonic: () => (seconds += 3) * 1000 };
  parent.blocks = parent.newBlocks({ clock, log });
  await parent.keep();
  const [merged] = logged.filter((line) => line.includes('blocks were merged'));
  const { reclaimedBytes } = JSON.parse(merged.slice(merged.indexOf('{'))) as Record<
    string,
    number
  >;
  expect(parent.blocks.stats).toMatchObject({ sealed: 5, merged: 1, reclaimedBytes });
  expect(reclaimedBytes).toBeGreaterThan(0);
  expect(logged.some((line) => /merging .*"groupsDone":\d+,"ofGroups":20/.test(line))).toBe(true);
  // One tile in eight hours of a group: index and tile, in one read each.
  const [block] = parent.head.blocks
    .list(parent.ref)
    .filter(({ from, to }) => to - from > 2 * HOUR);
  const pieces: Array<Array<[block: number, bytes: number]>> = [];
  const read = parent.store.readBlocks.bind(parent.store);
  parent.store.readBlocks = (ref, asked) => {
    pieces.push(asked.map(({ block: id, byteLength }) => [id, byteLength]));
    return read(ref, asked);
  };
  const select = async (pod: string): Promise<number> => {
    const snapshot = parent.head.snapshot();
    const range = { minTime: asTime(begin + HOUR), maxTime: asTime(begin + HOUR + 9 * MINUTE) };
    const [{ from, to }] = await snapshot.select([makeMatcher('pod', '=', pod)], range);
    snapshot.release();
    return to - from;
  };
  expect(await select('pod7')).toBe(10);
  expect(pieces.map((asked) => asked.map(([id]) => id))).toEqual([[block.id], [block.id]]);
  expect(pieces[0][0][1]).toBe(block.indexBytes);
  expect(pieces[1][0][1]).toBeLessThan(block.tileBytes / 15);
  // It is kept: the same again reads nothing, another group no more than its own.
  expect(await select('pod7')).toBe(10);
  expect(pieces.length).toBe(2);
  expect(await select('pod8')).toBe(10);
  expect(pieces.length).toBe(3);
});

it('lets a leaf that was away fill its own windows, and gives up one that stays away', async () => {
  const parent = new SmallParent();
  const begin = parent.clock.now();
  const group = parent.group('one');
  const scrape = async (from: number, to: number) => {
    for (let minute = from; minute < to; minute++) {
      group.frame(begin + minute * MINUTE, [minute], minute % 30 === 0);
    }
    await parent.take();
    parent.watermark = begin + (to - 1) * MINUTE;
  };
  await scrape(0, 90);
  parent.clock.stepWallClock(8 * HOUR);
  await parent.keep();
  expect(parent.windows()).toEqual([]);
  await scrape(90, 8 * 60);
  await parent.keep();
  expect(parent.windows()).toEqual(['0-2', '2-4', '4-6']);
  expect(await parent.count()).toEqual({ one: 480 });
  parent.clock.stepWallClock(40 * HOUR);
  await parent.keep();
  await parent.keep();
  expect(parent.windows()).toEqual(['0-8']);
  expect(await parent.count()).toEqual({ one: 480 });
});

it('asks once for tiles that the store has lost', async () => {
  const parent = new SmallParent();
  const group = parent.group('one');
  const begin = parent.clock.now();
  for (let minute = 0; minute < 180; minute++) {
    group.frame(begin + minute * MINUTE, [minute], minute % 30 === 0);
  }
  await parent.take();
  parent.clock.stepWallClock(3 * HOUR);
  parent.watermark = begin + 3 * HOUR;
  await parent.tiles.write();
  const lease = await parent.store.acquireLease(parent.ref, 'me', TTL);
  if (lease.granted)
    await parent.store.dropTiles(lease.lease, await parent.store.tiles(parent.ref));
  for (let times = 0; times < 3; times++) await parent.blocks.run(parent.clock.now());
  expect(parent.said).toEqual(['error no tile of a window can be read']);
  expect(parent.windows()).toEqual([]);
});

it('has the head built up anew where the store lost a block, and reads the next one of its number', async () => {
  const parent = new SmallParent();
  const group = parent.group('one');
  const begin = parent.clock.now();
  const frames = async (from: number, to: number) => {
    for (let minute = from; minute < to; minute++) {
      group.frame(begin + minute * MINUTE, [minute], minute % 30 === 0);
    }
    await parent.take();
    parent.clock.stepWallClock((to - from) * MINUTE);
    parent.watermark = parent.clock.now();
  };
  await frames(0, 240);
  await parent.tiles.write();
  const before = parent.store.copy();
  const asked: string[] = [];
  const onWentBack = async (ref: JournalRef): Promise<boolean> => {
    asked.push(ref[0]);
    await parent.buildAnew();
    return true;
  };
  const blocks = parent.newBlocks({ onWentBack, spans: [], sealDelay: asDuration(0) });
  await blocks.run(parent.clock.now());
  parent.clock.stepWallClock(3 * HOUR);
  parent.head.expire(parent.clock.now());
  // Tiles are read, and kept.
  expect(await parent.count()).toEqual({ one: 240 });
  const sealed = parent.head.blocks.list(parent.ref).map(({ id }) => id);
  parent.store.become(before);
  await blocks.run(parent.clock.now());
  expect(asked).toEqual(['a']);
  expect(parent.head.blocks.list(parent.ref)).toEqual([]);
  // The first window is dropped, and the next one comes to be the block of that number.
  await frames(240, 420);
  await parent.tiles.write();
  const tiles = parent.head.blocks.looseTiles(parent.ref);
  parent.head.dropTiles(parent.ref, tiles.slice(0, 4));
  await blocks.run(parent.clock.now());
  expect(parent.head.blocks.list(parent.ref).map(({ id }) => id)).toContain(sealed[0]);
  parent.clock.stepWallClock(9 * HOUR);
  parent.head.expire(parent.clock.now());
  const snapshot = parent.head.snapshot();
  const [series] = await snapshot.select([], EVER);
  snapshot.release();
  const shown = [...series.values.subarray(series.from, series.to)];
  expect(shown).toEqual(Array.from({ length: 300 }, (_, i) => 120 + i));
  expect(asked).toEqual(['a']);
});

/** Four hours of a group, stored; what a parent does whose store turns out to have gone back. */
async function fourHours() {
  const parent = new SmallParent();
  const group = parent.group('one');
  const begin = parent.clock.now();
  for (let minute = 0; minute < 240; minute++) {
    group.frame(begin + minute * MINUTE, [minute], minute % 30 === 0);
  }
  await parent.take();
  parent.clock.stepWallClock(4 * HOUR);
  parent.watermark = parent.clock.now();
  const asked: string[] = [];
  const onWentBack = async (ref: JournalRef): Promise<boolean> => {
    asked.push(ref[0]);
    parent.tiles.forget(ref);
    parent.blocks.forget(ref);
    await parent.buildAnew();
    return true;
  };
  parent.blocks = parent.newBlocks({ onWentBack, spans: [], sealDelay: asDuration(0) });
  return { parent, asked, onWentBack };
}

/** What is done once before the store is asked for something. */
function before(
  store: Store,
  what: 'readLayouts' | 'putBlockChunks' | 'readBlocks',
  act: () => unknown,
): void {
  const plain = store[what].bind(store) as (...given: unknown[]) => Promise<unknown>;
  const hooked = async (...given: unknown[]): Promise<unknown> => {
    Object.assign(store, { [what]: plain });
    await act();
    return plain(...given);
  };
  Object.assign(store, { [what]: hooked });
}

it('goes on with the own journal where the store lost blocks, takes nothing of others for damaged', async () => {
  const parent = new SmallParent();
  const group = parent.group('one');
  const begin = parent.clock.now();
  const frames = async (from: number, to: number) => {
    for (let minute = from; minute < to; minute++) {
      group.frame(begin + minute * MINUTE, [minute ** 3], minute % 30 === 0);
    }
    await parent.take();
    parent.clock.stepWallClock((to - from) * MINUTE);
    parent.watermark = parent.clock.now();
    await parent.tiles.write();
  };
  // A reader is away: nothing is cut.
  parent.tiles = parent.newTiles({ oldestReader: () => JOURNAL_START });
  await frames(0, 480);
  const before = parent.store.copy();
  const asked: string[] = [];
  const onWentBack = (ref: JournalRef) => (asked.push(ref[0]), Promise.resolve(false));
  const blocks = parent.newBlocks({ onWentBack, sealDelay: asDuration(0) });
  await blocks.run(parent.clock.now());
  expect(parent.windows().length).toBeGreaterThan(1);
  // Its writer has found out, and named it. Blocks come to be with the numbers of those that are gone, and are merged.
  parent.store.become(before);
  await frames(480, 24 * 60);
  for (let i = 0; i < 3; i++) await blocks.run(parent.clock.now());
  expect(parent.corrupt).toEqual([]);
  expect(asked).toEqual(['a']);
  expect(blocks.stats.merged).toBeGreaterThan(0);
  const names = (list: readonly BlockMeta[]) => list.map(blockName).sort();
  const stored = await parent.store.blocks(parent.ref);
  expect(names(parent.head.blocks.list(parent.ref))).toEqual(names(stored));

  // The same of tiles in no block: of what is left a block is made.
  const loose = parent.head.blocks.looseTiles(parent.ref);
  await frames(24 * 60, 27 * 60);
  const [lost] = parent.head.blocks.looseTiles(parent.ref).filter((meta) => !loose.includes(meta));
  await parent.store.dropTiles(await parent.leases.take(parent.ref), [lost]);
  for (let i = 0; i < 2; i++) await blocks.run(parent.clock.now());
  expect(parent.corrupt).toEqual([]);
  expect(asked).toEqual(['a', 'a']);
  expect(parent.head.blocks.looseTiles(parent.ref)).toContain(lost);
});

it('makes no block without tiles that the store lost while it was made: the journal has them', async () => {
  const { parent, asked } = await fourHours();
  const backup = parent.store.copy();
  await parent.tiles.write();
  before(parent.store, 'readLayouts', () => parent.store.become(backup));
  await parent.blocks.run(parent.clock.now());
  expect(asked).toEqual(['a']);
  expect(parent.corrupt).toEqual([]);
  expect(await parent.store.blocks(parent.ref)).toEqual([]);
  await parent.keep();
  expect(parent.windows()).toEqual(['0-2', '2-4']);
  expect(parent.corrupt).toEqual([]);
  expect(await parent.count()).toEqual({ one: 240 });
});

it('makes no block of tiles whose head was built up anew meanwhile', async () => {
  const { parent, asked, onWentBack } = await fourHours();
  const backup = parent.store.copy();
  await parent.tiles.write();
  // As a pull that finds it out between the last tile that is read and the first chunk that is written.
  before(parent.store, 'putBlockChunks', async () => {
    parent.store.become(backup);
    await onWentBack(parent.ref);
  });
  await parent.blocks.run(parent.clock.now());
  expect(asked).toEqual(['a']);
  expect(await parent.store.blocks(parent.ref)).toEqual([]);
  await parent.keep();
  expect(parent.windows()).toEqual(['0-2', '2-4']);
  parent.head = parent.newHead();
  await recoverHead({ ...parent, log: () => {}, onProgress: () => {} });
  expect(await parent.count()).toEqual({ one: 240 });
});

it('takes no block for damaged that the store lost while it was merged', async () => {
  const { parent, asked, onWentBack } = await fourHours();
  await parent.tiles.write();
  const backup = parent.store.copy();
  await parent.blocks.run(parent.clock.now());
  expect(parent.windows()).toEqual(['0-2', '2-4']);
  parent.watermark += 3 * HOUR;
  const rest = { onWentBack, sealDelay: asDuration(0) };
  parent.blocks = parent.newBlocks({ ...rest, spans: [asDuration(4 * HOUR)] });
  before(parent.store, 'readBlocks', () => parent.store.become(backup));
  await parent.blocks.run(parent.clock.now());
  expect(asked).toEqual(['a']);
  expect(parent.corrupt).toEqual([]);
  await parent.blocks.run(parent.clock.now());
  expect(parent.windows()).toEqual(['0-4']);
  expect(await parent.count()).toEqual({ one: 240 });
});

it('leaves what cannot be read where it is until a ledger names it', async () => {
  const { parent } = await fourHours();
  await parent.tiles.write();
  const [damaged] = await parent.store.tiles(parent.ref);
  parent.store.damageAtRest(
    parent.ref,
    'tile',
    () => 0,
    (bytes) => bytes.slice(1),
  );
  const tiles = (await parent.store.tiles(parent.ref)).length;
  let isUntold = true;
  parent.blocks = parent.newBlocks({ hasUntoldGaps: () => isUntold });
  await parent.blocks.run(parent.clock.now());
  expect(parent.corrupt.length).toBe(1);
  expect(parent.windows()).toEqual([]);
  expect(await parent.store.tiles(parent.ref)).toHaveLength(tiles);
  isUntold = false;
  await parent.blocks.run(parent.clock.now());
  expect(parent.windows()).toEqual(['0-2']);
  expect(await parent.store.tiles(parent.ref)).not.toContainEqual(damaged);
});

it('gives the memory of series back that come and go, and still finds them', async () => {
  const parent = new SmallParent();
  let pod = parent.group('pod-0');
  let most = 0;
  const hours = 36;
  for (let minute = 0; minute < hours * 60; minute++) {
    const time = parent.clock.now();
    if (minute % 60 === 0 && minute > 0) {
      pod.frame(time, ['stale']);
      pod = parent.group(`pod-${minute / 60}`);
    }
    pod.frame(time, [minute], minute % 30 === 0);
    await parent.take();
    parent.watermark = time;
    if (minute % 10 === 9) await parent.keep();
    most = Math.max(most, parent.head.stats.series);
    parent.clock.stepWallClock(MINUTE);
  }
  // The window, what waits for its seal, and two hours of being in a window.
  expect(most).toBeLessThanOrEqual(7);
  expect((await parent.store.readLayouts(parent.ref)).length).toBeLessThanOrEqual(7);
  const found = await parent.count();
  expect(Object.keys(found).length).toBe(hours);
  expect(Object.values(found).every((samples) => samples === 60)).toBe(true);
  const snapshot = parent.head.snapshot();
  const day = { minTime: asTime(parent.clock.now() - 40 * HOUR), maxTime: parent.clock.now() };
  expect((await snapshot.labelValues('pod', [], day)).length).toBe(hours);
  expect(await snapshot.labelNames([], day)).toEqual(['__name__', 'pod']);
  const matchers = [makeMatcher('pod', '=~', 'pod-[12]')];
  expect(await snapshot.labelValues('pod', [matchers], day)).toEqual(['pod-1', 'pod-2']);
  expect((await snapshot.series([matchers], day)).length).toBe(2);
  snapshot.release();
  // Another process knows the same.
  parent.head = parent.newHead();
  const { store, head } = parent;
  const nothing = { log: () => {}, onProgress: () => {} };
  await recoverHead({ store, head, ...nothing });
  expect(parent.head.stats.series).toBeLessThanOrEqual(7);
  expect(await parent.count()).toEqual(found);
});

it('reads the newest sample of a loose series where only a block has it', async () => {
  const parent = new SmallParent();
  const group = parent.script.group({ kind: 'loose', interval: MINUTE }).add({ __name__: 'm' });
  const begin = parent.clock.now();
  for (let minute = 0; minute < 120; minute++) {
    const time = begin + minute * MINUTE;
    group.loose(time, [[0, time, minute]]);
  }
  const next = parent.group('next', group.id);
  for (let minute = 120; minute < 600; minute++) next.frame(begin + minute * MINUTE, [1]);
  await parent.take();
  parent.clock.stepWallClock(10 * HOUR);
  parent.watermark = parent.clock.now();
  for (let times = 0; times < 3; times++) await parent.keep();
  expect(parent.head.stats.series).toBe(1);
  const snapshot = parent.head.snapshot();
  const last = await snapshot.last([[]], {
    minTime: asTime(begin),
    maxTime: asTime(begin + HOUR + MINUTE / 2),
  });
  const columns = { values: new Float64Array(9), times: new Float64Array(9), families: [] };
  const refs = last.metrics.get('m')!;
  await last.read(refs, 0, refs.length, columns);
  snapshot.release();
  const shown = [...refs.keys()].filter((i) => !Number.isNaN(columns.times[i]));
  expect(shown.map((i) => columns.values[i])).toEqual([60]);
});

it('names tiles and indexes that are damaged when it meets them, and goes on with the rest', async () => {
  const parent = new SmallParent();
  const group = parent.group('one');
  const damage = (bytes: Uint8Array): void => void (bytes[bytes.length - 7] ^= 1);
  for (let minute = 0; minute < 24 * 60; minute++) {
    group.frame(parent.clock.now(), [minute], minute % 30 === 0);
    await parent.take();
    parent.watermark = parent.clock.now();
    // One tile before it is sealed, one in a block before it is merged, one index.
    if (minute % 10 === 9 && minute !== 99) await parent.keep();
    if (minute === 99) {
      await parent.tiles.write();
      const [meta] = await parent.store.tiles(parent.ref);
      const [bytes] = await parent.store.readTiles(parent.ref, [meta]);
      damage(bytes!);
      const lease = await parent.store.acquireLease(parent.ref, 'me', TTL);
      if (lease.granted) await parent.store.putTiles(lease.lease, [{ meta, bytes: bytes! }]);
    }
    if (minute === 10 * 60 + 35) {
      const [, second] = await parent.store.blocks(parent.ref);
      parent.store.damageBlock(parent.ref, second.id, second.tileBytes - 7);
    }
    if (minute === 18 * 60 + 35) {
      const last = (await parent.store.blocks(parent.ref)).at(-1)!;
      parent.store.damageBlock(parent.ref, last.id, last.tileBytes + last.indexBytes - 7);
    }
    parent.clock.stepWallClock(MINUTE);
  }
  expect(parent.corrupt.map((text) => text.split(' ')[0])).toEqual(['tile', 'tile', 'block']);
  // The rest of the spans was merged all the same.
  expect(parent.blocks.stats.failures).toBe(0);
  expect(parent.windows()).toEqual(expect.arrayContaining(['0-8', '16-18']));
  parent.head = parent.newHead();
  await recoverHead({
    store: parent.store,
    head: parent.head,
    log: () => {},
    onProgress: () => {},
  });
  const { one } = await parent.count();
  expect(one).toBeLessThanOrEqual(24 * 60 - 2 * 30);
  expect(one).toBeGreaterThan(24 * 60 - 4 * 30 - 120);
});

it('finds a tile in a block that its head has not heard of', async () => {
  const parent = new SmallParent();
  const group = parent.group('one');
  for (let minute = 0; minute < 200; minute++) {
    group.frame(parent.clock.now(), [minute], minute % 30 === 0);
    parent.clock.stepWallClock(MINUTE);
  }
  await parent.take();
  await parent.tiles.write();
  const tiles = await parent.store.tiles(parent.ref);
  const before = await parent.store.readTiles(parent.ref, tiles);
  parent.watermark = parent.clock.now() + 3 * HOUR;
  await parent.blocks.run(parent.clock.now());
  expect(await parent.store.tiles(parent.ref)).toEqual([]);
  const source = new SealedSource(parent.store);
  const read = await source.readTiles(parent.ref, tiles);
  expect(read.map(hex)).toEqual(before.map(hex));
  const gone = { ...tiles[0], group: 77 };
  expect(await source.readTiles(parent.ref, [gone])).toEqual([undefined]);
});

it('makes nothing where another process writes the journal', async () => {
  const parent = new SmallParent();
  const group = parent.group('one');
  for (let minute = 0; minute < 120; minute++) {
    group.frame(parent.clock.now(), [1], minute % 30 === 0);
    parent.clock.stepWallClock(MINUTE);
  }
  await parent.take();
  await parent.tiles.write();
  parent.watermark = parent.clock.now() + HOUR;
  const { store, clock } = parent;
  const leases = new JournalLeases({ store, clock, owner: 'another', ttl: TTL });
  const other = parent.newBlocks({ leases });
  await other.run(parent.clock.now());
  expect(parent.windows()).toEqual([]);
  expect(other.stats.failures).toBe(1);
  expect(parent.said).toEqual(['warn blocks could not be made; it is tried again']);
});
