/** What every Store must do, as tests. Each test uses a journal of its own, so a store is shared. */
import { decodeGap, entryPayload } from '@canopy/encoding';
import {
  BLOCK_CHUNK_BYTES,
  type BlockMeta,
  type BlockPiece,
  type CommitOutcome,
  EntryKind,
  JOURNAL_START,
  type JournalCommit,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Lease,
  type Store,
  type StoredTile,
  asDuration,
  asTime,
} from '@canopy/model';
import type { CorruptRecord } from '../health.js';
import { testEntry, testJournal } from './fixtures.js';

/** The parts of vitest that the suite needs. */
export interface TestApi {
  describe(name: string, tests: () => void): void;
  it(name: string, test: () => Promise<void>): void;
  beforeAll(prepare: () => Promise<void>): void;
  afterAll(clean: () => Promise<void>): void;
  expect(actual: unknown): {
    toEqual(expected: unknown): void;
    toBe(expected: unknown): void;
    toBeGreaterThan(expected: number): void;
    readonly rejects: { toMatchObject(expected: object): Promise<void> };
  };
}

/** Where stores of one implementation lie. */
export interface ConformancePlace {
  /** Opens the store; again after it was disposed of: then with what was in it. */
  open(onCorrupt: (record: CorruptRecord) => void): Promise<Store>;
  /** Removes the place. */
  remove(): Promise<void>;
}

const TTL = asDuration(60_000);
const NO_LIMITS = { maxBytes: 1e9, maxEntries: 1e9 };
const at = (epoch: number, sequence: number): JournalPosition => ({ epoch, sequence });
const idsOf = (entries: readonly JournalEntry[]): string[] =>
  entries.map(({ epoch, sequence }) => `${epoch}-${sequence}`);

export function storeConformance(
  name: string,
  makePlace: () => Promise<ConformancePlace>,
  api: TestApi,
): void {
  const { describe, it, expect } = api;
  describe(`Store: ${name}`, () => {
    let place: ConformancePlace;
    let store: Store;
    const corrupt: CorruptRecord[] = [];
    const open = async (): Promise<void> => {
      store = await place.open((record) => corrupt.push(record));
    };

    api.beforeAll(async () => {
      place = await makePlace();
      await open();
    });
    api.afterAll(async () => {
      // None where it could not be opened.
      await (store as Store | undefined)?.[Symbol.asyncDispose]();
      await place.remove();
    });

    const lease = async (ref: JournalRef, owner = 'one'): Promise<Lease> => {
      const outcome = await store.acquireLease(ref, owner, TTL);
      if (!outcome.granted) throw new Error(`lease held by ${outcome.heldBy}`);
      return outcome.lease;
    };
    const commitOf = (
      held: Lease,
      expected: JournalPosition | null,
      entries: readonly JournalEntry[],
      more: Partial<JournalCommit> = {},
    ): JournalCommit => {
      const last = entries.at(-1);
      const position =
        last === undefined ? (expected ?? JOURNAL_START) : at(last.epoch, last.sequence);
      return { lease: held, expected, position, entries, cursor: '', ledger: '{}', ...more };
    };
    /** A journal with frames 1 … count of epoch 1. */
    const filled = async (count: number, kindOf = kindOfFrame): Promise<Lease> => {
      const held = await lease(testJournal());
      const entries = Array.from({ length: count }, (_, i) =>
        testEntry(at(1, i + 1), kindOf(i + 1)),
      );
      expect(await store.commit(commitOf(held, null, entries))).toEqual({ outcome: 'applied' });
      return held;
    };
    const ids = async (
      ref: JournalRef,
      after = JOURNAL_START,
      limits = NO_LIMITS,
    ): Promise<string[]> => idsOf(await store.readEntries(ref, after, limits));

    it('knows nothing of a journal before its first commit', async () => {
      const ref = testJournal();
      await lease(ref);
      expect(await store.journal(ref)).toBe(undefined);
      expect((await store.journals()).some((state) => state.ref === ref)).toBe(false);
      expect(await ids(ref)).toEqual([]);
      expect(await store.readLayouts(ref)).toEqual([]);
      expect(await store.tiles(ref)).toEqual([]);
    });

    it('keeps entries, position, cursor and ledger of a commit', async () => {
      for (const ref of [testJournal(), testJournal('0badcafe')]) {
        const held = await lease(ref);
        const entries = [
          testEntry(at(1, 1), 'layout'),
          testEntry(at(1, 2)),
          testEntry(at(1, 5), 'gap', 0),
          testEntry(at(1, 2 ** 40)),
        ];
        const ledger = JSON.stringify({ frames: 2, text: 'ä€ \u0000' });
        const commit = commitOf(held, null, entries, { cursor: 'cur/sor', ledger });
        expect(await store.commit(commit)).toEqual({ outcome: 'applied' });
        const bytes = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
        const state: JournalState = {
          ref,
          position: at(1, 2 ** 40),
          trimmed: JOURNAL_START,
          cursor: 'cur/sor',
          ledger,
          entryBytes: bytes,
        };
        expect(await store.journal(ref)).toEqual(state);
        expect((await store.journals()).filter((other) => other.ref === ref)).toEqual([state]);
        const read = await store.readEntries(ref, JOURNAL_START, NO_LIMITS);
        expect(read.map(plainEntry)).toEqual(entries.map(plainEntry));
      }
    });

    it('compares and sets the position', async () => {
      const held = await lease(testJournal());
      const ref = held.journal;
      const one = testEntry(at(1, 1));
      const two = testEntry(at(1, 2));
      const check = async (commit: JournalCommit, expected: string): Promise<CommitOutcome> => {
        const outcome = await store.commit(commit);
        expect(outcome.outcome).toBe(expected);
        return outcome;
      };
      await check(commitOf(held, at(1, 1), [two]), 'absent');
      await check(commitOf(held, null, [one]), 'applied');
      await check(commitOf(held, null, [one]), 'already_applied');
      await check(commitOf(held, at(1, 1), [two]), 'applied');
      await check(commitOf(held, at(1, 1), [two]), 'already_applied');
      const behind = await check(commitOf(held, at(1, 7), [testEntry(at(1, 8))]), 'behind');
      expect(behind.outcome === 'behind' && behind.state.position).toEqual(at(1, 2));
      await check(commitOf(held, null, [testEntry(at(2, 1))]), 'behind');
      // Position, cursor and ledger may move without entries; a new epoch may follow.
      await check(commitOf(held, at(1, 2), [], { position: at(1, 9), cursor: 'x' }), 'applied');
      await check(commitOf(held, at(1, 9), [], { cursor: 'y' }), 'applied');
      await check(commitOf(held, at(1, 9), [testEntry(at(2, 1))]), 'applied');
      expect(await ids(ref)).toEqual(['1-1', '1-2', '2-1']);
      expect((await store.journal(ref))?.position).toEqual(at(2, 1));
    });

    it('refuses commits without the lease, and changes nothing then', async () => {
      const held = await filled(2);
      const next = commitOf(held, at(1, 2), [testEntry(at(1, 3))]);
      expect(await store.acquireLease(held.journal, 'two', TTL)).toEqual({
        granted: false,
        heldBy: 'one',
        expiresIn: await remaining(store, held.journal),
      });
      await store.releaseLease(held);
      expect(await store.commit(next)).toEqual({ outcome: 'fenced' });
      const second = await lease(held.journal, 'two');
      expect(second.fence).toBeGreaterThan(held.fence);
      expect(await store.commit(next)).toEqual({ outcome: 'fenced' });
      await expect(store.trimJournal(held, at(1, 1))).rejects.toMatchObject(LOST);
      await expect(store.putTiles(held, [tile(1)])).rejects.toMatchObject(LOST);
      await expect(store.dropJournal(held)).rejects.toMatchObject(LOST);
      expect(await ids(held.journal)).toEqual(['1-1', '1-2']);
      expect(await store.commit({ ...next, lease: second })).toEqual({ outcome: 'applied' });
    });

    it('gives an expired lease to another, and a renewed one the same fence', async () => {
      const ref = testJournal();
      const short = await store.acquireLease(ref, 'one', asDuration(30));
      const renewed = await store.acquireLease(ref, 'one', asDuration(30));
      expect(renewed).toEqual(short);
      await new Promise((resolve) => setTimeout(resolve, 60));
      const second = await lease(ref, 'two');
      expect(second.fence).toBeGreaterThan(short.granted ? short.lease.fence : 0);
      // Releasing what is not held any more takes nothing from the new holder.
      if (short.granted) await store.releaseLease(short.lease);
      const commit = commitOf(second, null, [testEntry(at(1, 1))]);
      expect(await store.commit(commit)).toEqual({ outcome: 'applied' });
    });

    it('renews a lease with each commit, which goes through also where its time is over', async () => {
      const ref = testJournal();
      const outcome = await store.acquireLease(ref, 'one', asDuration(30));
      if (!outcome.granted) throw new Error('not granted');
      await new Promise((resolve) => setTimeout(resolve, 60));
      const long = { ...outcome.lease, ttl: TTL };
      const commit = commitOf(long, null, [testEntry(at(1, 1))]);
      expect(await store.commit(commit)).toEqual({ outcome: 'applied' });
      const other = await store.acquireLease(ref, 'two', TTL);
      if (other.granted) throw new Error('the commit did not renew it');
      expect(other.expiresIn).toBeGreaterThan(0);
    });

    it('reads within limits, at least one entry', async () => {
      const held = await filled(300);
      const ref = held.journal;
      const size = testEntry(at(1, 1)).bytes.length;
      const check = async (after: JournalPosition, limits: object, expected: string[]) => {
        expect(await ids(ref, after, { ...NO_LIMITS, ...limits })).toEqual(expected);
      };
      await check(JOURNAL_START, { maxEntries: 2 }, ['1-1', '1-2']);
      await check(at(1, 1), { maxBytes: 1 }, ['1-2']);
      await check(at(1, 10), { maxBytes: 2 * size + 10 }, ['1-11', '1-12']);
      await check(at(1, 299), {}, ['1-300']);
      await check(at(1, 300), {}, []);
      await check(at(2, 0), {}, []);
      expect((await ids(ref)).length).toBe(300);
      const paged: string[] = [];
      for (let after = JOURNAL_START; ; ) {
        const page = await store.readEntries(ref, after, { maxBytes: 40 * size, maxEntries: 99 });
        if (page.length === 0) break;
        paged.push(...idsOf(page));
        after = at(page[page.length - 1].epoch, page[page.length - 1].sequence);
      }
      expect(paged).toEqual(await ids(ref));
    });

    it('trims entries, keeps layouts until they are dropped', async () => {
      const held = await filled(100, (sequence) => (sequence % 10 === 1 ? 'layout' : 'frame'));
      const ref = held.journal;
      const layouts = await store.readLayouts(ref);
      expect(layouts.length).toBe(10);
      const before = (await store.journal(ref))!.entryBytes;
      expect(await store.trimJournal(held, at(1, 55))).toBeGreaterThan(0);
      const state = (await store.journal(ref))!;
      expect(state.trimmed).toEqual(at(1, 55));
      expect(before).toBeGreaterThan(state.entryBytes);
      expect((await ids(ref))[0]).toBe('1-56');
      expect((await ids(ref)).length).toBe(45);
      expect((await store.readLayouts(ref)).map(plainEntry)).toEqual(layouts.map(plainEntry));
      expect(await store.trimJournal(held, at(1, 55))).toBe(0);
      // A reader that has begun anew needs less cut than there is: what is gone stays named as gone.
      expect(await store.trimJournal(held, at(1, 20))).toBe(0);
      expect(await store.journal(ref)).toEqual(state);
      // Beyond the end: everything goes, and the journal takes entries as before.
      await store.trimJournal(held, at(7, 7));
      expect((await store.journal(ref))!.trimmed).toEqual(at(1, 100));
      expect((await store.journal(ref))!.entryBytes).toBe(0);
      expect(await ids(ref)).toEqual([]);
      const next = commitOf(held, at(1, 100), [testEntry(at(1, 101), 'layout', 2)]);
      expect(await store.commit(next)).toEqual({ outcome: 'applied' });
      const gone = [
        { epoch: 1, group: 1 },
        { epoch: 9, group: 2 },
      ];
      // A store that fell back to before a cut has frames again that need them.
      await expect(store.dropLayouts(held, gone, at(1, 101))).rejects.toMatchObject(LOST);
      expect((await store.readLayouts(ref)).length).toBe(11);
      await store.dropLayouts(held, gone, at(1, 100));
      expect(idsOf(await store.readLayouts(ref))).toEqual(['1-101']);
      expect(await ids(ref)).toEqual(['1-101']);
    });

    it('orders layouts by epoch, group and version', async () => {
      const held = await lease(testJournal());
      const entries = [
        testEntry(at(1, 1), 'layout', 300),
        testEntry(at(1, 2), 'layout', 2),
        testEntry(at(1, 9), 'layout', 2),
        testEntry(at(1, 10), 'layout', 2),
        testEntry(at(2, 1), 'layout', 1),
      ];
      await store.commit(commitOf(held, null, entries));
      const order = ['1-2', '1-9', '1-10', '1-1', '2-1'];
      expect(idsOf(await store.readLayouts(held.journal))).toEqual(order);
    });

    it('keeps tiles, replaces and drops them', async () => {
      const held = await filled(1);
      const ref = held.journal;
      const tiles = [tile(1), tile(2, 300_000), tile(3)];
      await store.putTiles(held, tiles);
      await store.putTiles(held, []);
      const metas = await store.tiles(ref);
      expect(sortMetas(metas)).toEqual(tiles.map(({ meta }) => meta));
      const wanted = [tiles[2].meta, { ...tiles[0].meta, group: 99 }, tiles[1].meta];
      const read = await store.readTiles(ref, wanted);
      expect(read.map(hex)).toEqual([hex(tiles[2].bytes), undefined, hex(tiles[1].bytes)]);
      const longer = { ...tile(1, 50), meta: { ...tile(1, 50).meta, lastSequence: 77 } };
      await store.putTiles(held, [longer]);
      await store.dropTiles(held, [tiles[1].meta]);
      expect(sortMetas(await store.tiles(ref))).toEqual([longer.meta, tiles[2].meta]);
      expect((await store.readTiles(ref, [tiles[0].meta])).map(hex)).toEqual([hex(longer.bytes)]);
    });

    it('cuts the journal only while the tile is there that was written last', async () => {
      const held = await filled(50);
      const ref = held.journal;
      await store.putTiles(held, [tile(1), tile(2)]);
      const before = await store.journal(ref);
      const cut = store.trimJournal(held, at(1, 20), tile(3).meta);
      await expect(cut).rejects.toMatchObject(LOST);
      expect(await store.journal(ref)).toEqual(before);
      expect((await ids(ref)).length).toBe(50);
      expect(await store.trimJournal(held, at(1, 20), tile(2).meta)).toBeGreaterThan(0);
      await store.dropTiles(held, [tile(2).meta]);
      const next = store.trimJournal(held, at(1, 30), tile(2).meta);
      await expect(next).rejects.toMatchObject(LOST);
      expect((await store.journal(ref))!.trimmed).toEqual(at(1, 20));
    });

    it('shows no block of which chunks are missing', async () => {
      const held = await filled(1);
      const ref = held.journal;
      await store.putTiles(held, [tile(1)]);
      const id = await store.nextBlock(held);
      const size = 2 * BLOCK_CHUNK_BYTES + 10;
      const { chunks } = blockBytes(size);
      const put = (first: number) =>
        store.putBlockChunks(held, id, first, chunks.slice(first, first + 1));
      const replaced = { tiles: [tile(1).meta], blocks: [] };
      await expect(put(1)).rejects.toMatchObject(LOST);
      await put(0);
      await expect(put(2)).rejects.toMatchObject(LOST);
      await put(1);
      // Again, its answer having been lost.
      await put(0);
      const finish = () => store.finishBlock(held, blockMeta(id, size), replaced);
      await expect(finish()).rejects.toMatchObject(LOST);
      expect(await store.blocks(ref)).toEqual([]);
      expect((await store.tiles(ref)).length).toBe(1);
      await put(2);
      await finish();
      expect((await store.blocks(ref)).length).toBe(1);
    });

    it('shows a block once it is finished, and what it replaces no more', async () => {
      const held = await filled(1);
      const ref = held.journal;
      const tiles = [tile(1), tile(2), tile(3)];
      await store.putTiles(held, tiles);
      const { chunks, read } = blockBytes(BLOCK_CHUNK_BYTES + 1000);
      const id = await store.nextBlock(held);
      const meta = blockMeta(id, BLOCK_CHUNK_BYTES + 1000);
      await store.putBlockChunks(held, id, 0, chunks.slice(0, 1));
      await store.putBlockChunks(held, id, 1, chunks.slice(1));
      expect(await store.blocks(ref)).toEqual([]);
      const replaced = { tiles: tiles.slice(0, 2).map((each) => each.meta), blocks: [] };
      await store.finishBlock(held, meta, replaced);
      await store.finishBlock(held, meta, replaced);
      expect(await store.blocks(ref)).toEqual([meta]);
      expect(await store.tiles(ref)).toEqual([tiles[2].meta]);
      expect(await store.readTiles(ref, [tiles[0].meta])).toEqual([undefined]);
      const pieces = [
        { block: id, position: 0, byteLength: 10 },
        { block: id, position: BLOCK_CHUNK_BYTES - 5, byteLength: 10 },
        { block: id, position: BLOCK_CHUNK_BYTES + 990, byteLength: 10 },
        { block: id, position: BLOCK_CHUNK_BYTES + 995, byteLength: 10 },
        { block: id + 7, position: 0, byteLength: 10 },
      ];
      const found = await store.readBlocks(ref, pieces);
      expect(found.map(hex)).toEqual([
        ...pieces.slice(0, 3).map((piece) => hex(read(piece))),
        // As of a chunk that was cut.
        hex(read(pieces[3]))?.slice(0, 10),
        undefined,
      ]);
      // The last tile of a window goes with the next block, and all of a window at once.
      const next = await store.nextBlock(held);
      expect(next).toBe(id + 1);
      await store.putBlockChunks(held, next, 0, [new Uint8Array(100)]);
      const merged = blockMeta(next, 100);
      await store.finishBlock(held, merged, { tiles: [tiles[2].meta], blocks: [meta] });
      expect(await store.blocks(ref)).toEqual([merged]);
      expect(await store.tiles(ref)).toEqual([]);
      // Whoever saw the block before may read on for a while.
      expect(await store.sweepBlocks(held, asDuration(60_000))).toBe(0);
      expect(hex((await store.readBlocks(ref, pieces.slice(0, 1)))[0])).toBe(hex(read(pieces[0])));
      expect(await store.sweepBlocks(held, asDuration(-5000))).toBe(BLOCK_CHUNK_BYTES + 1000);
      expect(await store.sweepBlocks(held, asDuration(-5000))).toBe(0);
      expect(await store.readBlocks(ref, pieces.slice(0, 1))).toEqual([undefined]);
      await store.dropBlocks(held, [merged]);
      expect(await store.blocks(ref)).toEqual([]);
      expect(await store.nextBlock(held)).toBe(next + 1);
    });

    it('leaves nothing of a block that was never finished', async () => {
      const held = await filled(1);
      const ref = held.journal;
      const id = await store.nextBlock(held);
      await store.putBlockChunks(held, id, 0, [new Uint8Array(BLOCK_CHUNK_BYTES)]);
      await store.releaseLease(held);
      const second = await lease(ref, 'two');
      const late = store.putBlockChunks(held, id, 1, [new Uint8Array(1)]);
      await expect(late).rejects.toMatchObject(LOST);
      await expect(store.finishBlock(held, blockMeta(id, 1), NONE)).rejects.toMatchObject(LOST);
      const next = await store.nextBlock(second);
      expect(next).toBe(id + 1);
      const piece = { block: id, position: 0, byteLength: 1 };
      expect(await store.readBlocks(ref, [piece])).toEqual([undefined]);
      // What the first one goes on with is refused, whoever holds the lease.
      await expect(store.finishBlock(second, blockMeta(id, 1), NONE)).rejects.toMatchObject(LOST);
      await expect(store.putBlockChunks(second, id, 0, [new Uint8Array(1)])).rejects.toMatchObject(
        LOST,
      );
      expect(await store.blocks(ref)).toEqual([]);
    });

    it('drops a journal with all that belongs to it, and nothing else', async () => {
      const other = await filled(3);
      const held = await filled(3, (sequence) => (sequence === 1 ? 'layout' : 'frame'));
      await store.putTiles(held, [tile(1)]);
      for (const id of [1, 2]) {
        await store.putBlockChunks(held, await store.nextBlock(held), 0, [new Uint8Array(10)]);
        if (id === 1) await store.finishBlock(held, blockMeta(id, 10), NONE);
      }
      await store.dropJournal(held);
      expect(await store.blocks(held.journal)).toEqual([]);
      const pieces = [1, 2].map((block) => ({ block, position: 0, byteLength: 1 }));
      expect(await store.readBlocks(held.journal, pieces)).toEqual([undefined, undefined]);
      expect(await store.journal(held.journal)).toBe(undefined);
      expect(await ids(held.journal)).toEqual([]);
      expect(await store.readLayouts(held.journal)).toEqual([]);
      expect(await store.tiles(held.journal)).toEqual([]);
      expect((await store.readTiles(held.journal, [tile(1).meta]))[0]).toBe(undefined);
      expect((await ids(other.journal)).length).toBe(3);
      const again = await lease(held.journal);
      const commit = commitOf(again, null, [testEntry(at(1, 1))]);
      expect(await store.commit(commit)).toEqual({ outcome: 'applied' });
      expect(await ids(held.journal)).toEqual(['1-1']);
    });

    const damaged = (entry: JournalEntry): JournalEntry => {
      const bytes = Uint8Array.from(entry.bytes);
      bytes[bytes.length - 7] ^= 1;
      return { ...entry, bytes };
    };

    it('names corrupt records, shows none of them, and reports them', async () => {
      const held = await lease(testJournal());
      const entries = [
        damaged(testEntry(at(1, 1), 'layout')),
        testEntry(at(1, 2)),
        damaged(testEntry(at(1, 3))),
        testEntry(at(1, 4)),
      ];
      await store.commit(commitOf(held, null, entries));
      corrupt.length = 0;
      const read = await store.readEntries(held.journal, at(0, 0), {
        maxBytes: 1e6,
        maxEntries: 9,
      });
      const kinds = read.map(({ sequence, kind }) => `${sequence} ${kind}`);
      const { gap, frame } = EntryKind;
      expect(kinds).toEqual([`1 ${gap}`, `2 ${frame}`, `3 ${gap}`, `4 ${frame}`]);
      const named = decodeGap(entryPayload(read[2]));
      const [from, to] = [read[1].time - 1, Math.max(read[1].time, read[3].time) + 1];
      expect(named).toEqual({ group: 0, from, to, cause: 'corrupt', frames: 1 });
      expect(corrupt[1].gap).toEqual(named);
      expect(corrupt.map(({ what, place }) => `${what} ${place}`)).toEqual([
        'entry 1-1',
        'entry 1-3',
      ]);
      expect(await store.readLayouts(held.journal)).toEqual([]);
      expect(corrupt.length).toBe(3);
    });

    it('names the times that a corrupt record may have had, however the journal is read', async () => {
      const held = await lease(testJournal());
      const kinds = ['layout', 'frame', 'frame', 'frame', 'gap', 'frame', 'frame'] as const;
      const isDamaged = [false, false, true, true, false, false, true];
      const entries = kinds.map((kind, i) => testEntry(at(1, i + 1), kind));
      const stored = entries.map((entry, i) => (isDamaged[i] ? damaged(entry) : entry));
      const ledger = JSON.stringify({ newest: entries[6].time + 5, late: 100 });
      await store.commit(commitOf(held, null, stored, { ledger }));
      const between = { from: entries[1].time - 101, to: entries[5].time + 101 };
      // Nothing follows: no frame is younger than the ledger says.
      const last = { from: entries[5].time - 101, to: entries[6].time + 6 };
      for (const maxEntries of [9, 4, 3, 2, 1]) {
        const named: unknown[] = [];
        for (let after: JournalPosition = JOURNAL_START; ; ) {
          const limits = { maxBytes: 1e6, maxEntries };
          const read = await store.readEntries(held.journal, after, limits);
          if (read.length === 0) break;
          after = read[read.length - 1];
          const inPlace = read.filter(({ sequence }) => isDamaged[sequence - 1]);
          named.push(...inPlace.map((entry) => decodeGap(entryPayload(entry))));
        }
        const rest = { group: 0, cause: 'corrupt', frames: 1 };
        expect(named).toEqual([between, between, last].map((times) => ({ ...rest, ...times })));
      }
    });

    it('keeps documents', async () => {
      const name = `sources/${testJournal()}`;
      expect(await store.getDocument(name)).toBe(undefined);
      for (const text of ['', '{"a":1}', 'ü'.repeat(100_000)]) {
        await store.putDocument(name, text);
        expect(await store.getDocument(name)).toBe(text);
      }
      await store.putDocument(name, undefined);
      expect(await store.getDocument(name)).toBe(undefined);
    });

    it('says how much it holds', async () => {
      const before = await store.usage();
      const held = await filled(1);
      await store.putTiles(held, [tile(1, 2_000_000)]);
      const after = await store.usage();
      expect(after.usedBytes - before.usedBytes).toBeGreaterThan(1_500_000);
    });

    it('has everything after it was opened again', async () => {
      const held = await filled(20, (sequence) => (sequence === 1 ? 'layout' : 'frame'));
      await store.putTiles(held, [tile(5)]);
      await store.trimJournal(held, at(1, 4));
      const state = await store.journal(held.journal);
      const entries = (await store.readEntries(held.journal, JOURNAL_START, NO_LIMITS)).map(
        plainEntry,
      );
      await store.releaseLease(held);
      await store[Symbol.asyncDispose]();
      await open();
      expect(await store.journal(held.journal)).toEqual(state);
      const read = await store.readEntries(held.journal, JOURNAL_START, NO_LIMITS);
      expect(read.map(plainEntry)).toEqual(entries);
      expect(await store.tiles(held.journal)).toEqual([tile(5).meta]);
      const next = await lease(held.journal, 'after');
      expect(next.fence).toBeGreaterThan(held.fence);
      const commit = commitOf(next, at(1, 20), [testEntry(at(1, 21))]);
      expect(await store.commit(commit)).toEqual({ outcome: 'applied' });
    });
  });
}

const LOST = { code: 'storage_unavailable' };
const kindOfFrame = (_sequence: number): 'frame' | 'layout' => 'frame';

/** The time left changes from call to call: what the store itself says is compared with itself. */
async function remaining(store: Store, ref: JournalRef): Promise<unknown> {
  const outcome = await store.acquireLease(ref, 'three', TTL);
  const left = outcome.granted ? -1 : outcome.expiresIn;
  return { asymmetricMatch: (other: number) => left > 0 && other >= left && other <= TTL };
}

function plainEntry({ epoch, sequence, kind, group, time, key, bytes }: JournalEntry): unknown {
  return { epoch, sequence, kind, group, time, key, bytes: hex(bytes) };
}

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('hex');
}

function tile(group: number, size = 100): StoredTile {
  const bytes = new Uint8Array(size).fill(group);
  const [minTime, maxTime] = [asTime(1_700_000_000_000), asTime(1_700_000_600_000)];
  const place = { epoch: 1, group, firstSequence: 2 ** 33 + group, lastSequence: 2 ** 33 + 99 };
  return { meta: { ...place, minTime, maxTime, byteLength: size }, bytes };
}

const NONE = { tiles: [], blocks: [] };

/** Bytes of a block that differ from place to place, and a piece of them. */
function blockBytes(size: number) {
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < size; at += BLOCK_CHUNK_BYTES) {
    chunks.push(bytes.subarray(at, at + BLOCK_CHUNK_BYTES));
  }
  const read = ({ position, byteLength }: BlockPiece) =>
    bytes.subarray(position, position + byteLength);
  return { chunks, read };
}

function blockMeta(id: number, size: number): BlockMeta {
  const [from, to] = [asTime(0), asTime(7_200_000)];
  return {
    ...{ id, from, to, minTime: from, maxTime: asTime(7_199_999) },
    ...{ resolution: asDuration(0), intervalMax: asDuration(15_000), last: at(1, 9) },
    ...{ tileBytes: size, indexBytes: 0, groups: 1, tiles: 1, series: 1 },
  };
}

function sortMetas(metas: StoredTile['meta'][]): StoredTile['meta'][] {
  return metas.sort((a, b) => a.group - b.group);
}
