import { type ApplyTotals, type JournalEntry, type JournalRef, asTime } from '@canopy/model';
import { expect, it } from 'vitest';
import type { Head } from '../head.js';
import { START, all, at, headRig } from '../testing/head-rig.js';
import { JournalScript } from '../testing/index.js';

it('closes tiles at key frames and says what may be trimmed', async () => {
  const { head, store, closed } = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 20; i++) group.frame(at(i), [i], i % 8 === 0);
  head.apply(journal.ref, journal.entries);
  expect(closed.length).toBe(2);
  // Nothing is reported stored: all but the layout before the first frame is needed.
  expect(head.trimmable(journal.ref)).toEqual({ epoch: 1, sequence: 1 });
  const metas = store.metas(journal.ref);
  expect(metas.map((m) => [m.firstSequence, m.lastSequence])).toEqual([
    [2, 9],
    [10, 17],
  ]);
  head.tileStored(journal.ref, metas[1]);
  expect(head.trimmable(journal.ref)).toEqual({ epoch: 1, sequence: 1 });
  head.tileStored(journal.ref, metas[0]);
  expect(head.trimmable(journal.ref)).toEqual({ epoch: 1, sequence: 17 });
});

it('keeps the key frame in the journal that frames build on, be it refused, or in a tile of the store', () => {
  const { head, store } = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  const kept: JournalEntry[] = [];
  const frame = (to: Head, seconds: number, key = false): ApplyTotals => {
    group.frame(at(seconds), [seconds], key);
    const entries = journal.take();
    kept.push(...entries);
    return to.apply(journal.ref, entries);
  };
  const trim = (of: Head): void => {
    for (const meta of store.metas(journal.ref)) of.tileStored(journal.ref, meta);
    const { sequence } = of.trimmable(journal.ref);
    while (kept[0]?.sequence <= sequence) kept.shift();
  };
  const restarted = (): Head => {
    const next = headRig({}, store).head;
    next.restoreLayouts(journal.ref, [layout]);
    next.restoreTiles(journal.ref, store.metas(journal.ref));
    next.apply(journal.ref, kept);
    return next;
  };
  for (const seconds of [1, 2, 3]) frame(head, seconds);
  const [layout] = kept;
  // The clock was stepped back a little: its frame is refused, and the next ones build on it.
  expect(frame(head, 2.5, true).refused).toEqual({ out_of_order: 1 });
  trim(head);
  expect(frame(head, 4)).toMatchObject({ frames: 1 });
  expect(kept.map(({ sequence }) => sequence)).toEqual([5, 6]);
  let after = restarted();
  expect(frame(after, 5)).toMatchObject({ frames: 1, undecodable: 0 });
  // Silent, so that its tile closes; a restart, and a cut of the journal.
  after.expire(asTime(at(3600)));
  trim(after);
  after = restarted();
  trim(after);
  expect(frame(restarted(), 6)).toMatchObject({ frames: 1, undecodable: 0 });
});

it('reads tiles back that have left memory, and forgets what retention dropped', async () => {
  const { head, store } = headRig({ tileCacheBytesMax: 1 });
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' }, { __name__: 'y' });
  for (let i = 0; i < 20; i++) group.frame(at(i), [i, i], i % 8 === 0);
  head.apply(journal.ref, journal.entries);
  const whole = await all(head);
  for (const meta of store.metas(journal.ref)) head.tileStored(journal.ref, meta);
  expect(head.expire(asTime(at(60 + 10)))).toEqual({ series: 0, tiles: 1 });
  expect(head.stats.tilesInMemory).toBe(1);
  expect(await all(head)).toEqual(whole);
  expect([store.reads, store.tilesRead]).toEqual([1, 1]);
  // Inside the window nothing is read back.
  await all(head, head.snapshot(), { minTime: asTime(at(8)), maxTime: asTime(at(99)) });
  expect(store.reads).toBe(1);
  const [first] = store.metas(journal.ref);
  store.drop(journal.ref, first);
  expect((await all(head))[0]).toMatch(/^x 8:8/); // gone from the store behind our back
  expect(head.stats.tilesUnreadable).toBe(1);
  head.dropTiles(journal.ref, [first]);
  await all(head);
  expect(head.stats.tilesUnreadable).toBe(1);
});

it('goes on after a restart from layouts, tiles and the journal that is left', async () => {
  const { head, store } = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' }, { __name__: 'y' });
  for (let i = 0; i < 13; i++) group.frame(at(i), [i, i % 3], i % 8 === 0);
  head.apply(journal.ref, journal.entries);
  const whole = await all(head);
  const { head: second } = headRig({}, store);
  second.restoreLayouts(
    journal.ref,
    journal.entries.filter((entry) => entry.kind === 1),
  );
  second.restoreTiles(journal.ref, store.metas(journal.ref));
  expect(second.position(journal.ref)).toBeUndefined();
  const totals = second.apply(journal.ref, journal.entries);
  expect(totals).toMatchObject({ frames: 5, repeated: 8 });
  expect(await all(second)).toEqual(whole);
  expect(second.trimmable(journal.ref)).toEqual({ epoch: 1, sequence: 9 });
  // The journal may also begin amid the frames of a stored tile.
  const { head: third } = headRig({}, store);
  third.restoreLayouts(journal.ref, journal.entries.slice(0, 1));
  third.restoreTiles(journal.ref, store.metas(journal.ref));
  const rest = third.apply(journal.ref, journal.entries.slice(5));
  expect(rest).toMatchObject({ frames: 5, repeated: 4, undecodable: 0 });
  expect(await all(third)).toEqual(whole);
});

it('encodes a wide tile in steps, and shows it meanwhile', async () => {
  const { head, clock, closed, store } = headRig({ tileCellsAtOnce: 100 });
  const journal = new JournalScript('a');
  const group = journal.group();
  for (let slot = 0; slot < 500; slot++) group.add({ __name__: 'x', slot: String(slot) });
  const row = (n: number): number[] => Array.from({ length: 500 }, (_, slot) => slot * 100 + n);
  for (let n = 0; n < 8; n++) group.frame(at(n), row(n));
  group.frame(at(8), row(8), true);
  head.apply(journal.ref, journal.take());
  expect(closed).toHaveLength(0);
  const before = await all(head);
  expect(before[0]).toMatch(/ 0:\d+ .* 8:\d+$/);
  expect(head.trimmable(journal.ref).sequence).toBeLessThan(2);
  await clock.advance(1);
  await clock.advance(1000);
  expect(closed).toHaveLength(1);
  expect(store.metas(journal.ref)[0]).toMatchObject({ minTime: at(0), maxTime: at(7) });
  expect(await all(head)).toEqual(before);
  expect(head.stats).toMatchObject({ tilesClosed: 1, tilesInMemory: 1 });
});

it('closes a sealed tile before the next one, and forgets it with its journal', async () => {
  const { head, clock, closed } = headRig({ tileCellsAtOnce: 1 });
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let n = 0; n < 6; n++) group.frame(at(n), [n], n % 2 === 0);
  head.apply(journal.ref, journal.take());
  // Of three runs the first is closed, the second sealed, the third open.
  expect(closed).toHaveLength(1);
  expect(await all(head)).toEqual(['x 0:0 1:1 2:2 3:3 4:4 5:5']);
  head.dropJournal(journal.ref);
  await clock.advance(1000);
  expect(closed).toHaveLength(1);
});

it('takes stored tiles back into memory, the newest first, and no corrupt one', async () => {
  const first = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 12; i++) group.frame(at(i), [i], i % 4 === 0);
  first.head.apply(journal.ref, journal.entries);
  const metas = first.store.metas(journal.ref);
  const corrupt: unknown[] = [];
  const onTileCorrupt = (_ref: JournalRef, meta: unknown): void => void corrupt.push(meta);
  const { head, store } = headRig({ onTileCorrupt }, first.store);
  head.restoreLayouts(journal.ref, journal.entries);
  head.restoreTiles(journal.ref, metas);
  const cold = head.storedTiles.cold(asTime(at(0)));
  expect(cold.map(({ meta }) => (meta.minTime - START) / 1000)).toEqual([4, 0]);
  expect(head.storedTiles.cold(asTime(at(5))).length).toBe(1);
  for (const { ref, meta } of cold) {
    const [bytes] = await store.readTiles(ref, [meta]);
    const damaged = Uint8Array.from(bytes!);
    damaged[damaged.length >> 1] ^= 16;
    expect(head.storedTiles.warm(ref, meta, damaged)).toBe(false);
    expect(head.storedTiles.warm(ref, meta, bytes!)).toBe(true);
    expect(head.storedTiles.knows(ref, meta)).toBe(true);
    expect(head.storedTiles.knows(ref, { ...meta, lastSequence: meta.lastSequence + 1 })).toBe(
      false,
    );
  }
  expect([head.stats.tilesUnreadable, corrupt]).toEqual([2, cold.map(({ meta }) => meta)]);
  store.reads = 0;
  expect(await all(head)).toEqual(['x 0:0 1:1 2:2 3:3 4:4 5:5 6:6 7:7']);
  expect(store.reads).toBe(0);
});

it('decodes frames of a stored tile only for one that builds on them', async () => {
  const first = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 6; i++) group.frame(at(i), [1], i % 4 === 0);
  first.head.apply(journal.ref, journal.entries);
  // The tile of the first four is stored; another says that it holds the fifth too.
  const [meta] = first.store.metas(journal.ref);
  for (const lastSequence of [meta.lastSequence, meta.lastSequence + 1]) {
    const { head } = headRig({}, first.store);
    head.restoreLayouts(journal.ref, journal.entries);
    head.restoreTiles(journal.ref, [{ ...meta, lastSequence }]);
    const stored = lastSequence - meta.firstSequence + 1;
    const totals = head.apply(journal.ref, journal.entries);
    expect(totals).toMatchObject({ frames: 6 - stored, repeated: stored, undecodable: 0 });
  }
});

it('leaves a tile out whole that has slots of which no layout is left', async () => {
  const first = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  group.frame(at(0), [0], true);
  const known = journal.entries.slice();
  group.add({ __name__: 'y' });
  for (let i = 1; i < 9; i++) group.frame(at(i), [i, i], i % 4 === 0);
  first.head.apply(journal.ref, journal.entries);
  const metas = first.store.metas(journal.ref);
  const corrupt: unknown[] = [];
  const onTileCorrupt = (_ref: JournalRef, meta: unknown): void => void corrupt.push(meta);
  const { head } = headRig({ onTileCorrupt }, first.store);
  head.restoreLayouts(journal.ref, known);
  head.restoreTiles(journal.ref, metas);
  await all(head);
  const wide = metas.filter(({ maxTime }) => maxTime > at(0));
  expect(wide.length).toBeGreaterThan(0);
  expect(corrupt).toEqual(wide);
  expect((await all(head)).join()).not.toMatch(/[1-9]:/);
});

it('tells of a corrupt tile that a select comes upon, and leaves it out', async () => {
  const first = headRig();
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'x' });
  for (let i = 0; i < 9; i++) group.frame(at(i), [i], i % 4 === 0);
  first.head.apply(journal.ref, journal.entries);
  const [older, newer] = first.store.metas(journal.ref);
  const [bytes] = await first.store.readTiles(journal.ref, [older]);
  const damaged = Uint8Array.from(bytes!);
  damaged[damaged.length - 9] ^= 1;
  first.store.put(journal.ref, { meta: older, bytes: damaged });
  const corrupt: unknown[] = [];
  const onTileCorrupt = (_ref: JournalRef, meta: unknown): void => void corrupt.push(meta);
  const { head } = headRig({ onTileCorrupt }, first.store);
  head.restoreLayouts(journal.ref, journal.entries);
  head.restoreTiles(journal.ref, [older, newer]);
  expect(await all(head)).toEqual(['x 4:4 5:5 6:6 7:7']);
  expect(corrupt).toEqual([older]);
});
