/**
 * Any sequence of appends, moves between origins, seals, merges, retentions, restarts and interrupted
 * writes gives the same answers as plain arrays. Everything but the store is the real thing; the stores pass
 * the conformance suite. Not checked here: loose groups (head.fuzz.ts), samples older than the retention,
 * which go in whole blocks.
 */
import { MemoryStore } from '@canopy/federation/testing';
import { Head, type HeadOptions, type HeadSnapshot } from '@canopy/head';
import {
  type Answer,
  type ModelLeaf,
  ModelWorld,
  RUN_BREAK,
  answerOf,
  lastOf,
  newestIn,
  plainAnswer,
} from '@canopy/head/testing';
import {
  CanopyError,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type Lease,
  type StoredTile,
  type TimeRange,
  asDuration,
  asTime,
} from '@canopy/model';
import { expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { BlockKeeper } from './block-keeper.js';
import { recoverHead } from './recovery.js';
import { Retention } from './retention.js';
import { TileKeeper } from './tile-keeper.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 25);
const STEPS = 150;
const WINDOW = 10_000;
const RETENTION = 45_000;
const TTL = asDuration(1e9);

/** Fails now and then, before or after it has done what was asked. */
class UnreliableStore extends MemoryStore {
  failFinish: 'before' | 'after' | undefined;

  override async finishBlock(...args: Parameters<MemoryStore['finishBlock']>): Promise<void> {
    const when = this.failFinish;
    this.failFinish = undefined;
    if (when === 'before') throw new CanopyError('storage_unavailable', 'by chance');
    await super.finishBlock(...args);
    if (when === 'after') throw new CanopyError('storage_unavailable', 'by chance');
  }
}

class StoreWorld extends ModelWorld {
  /** Made before the first head asks for it. */
  declare database: UnreliableStore;
  declare tiles: TileKeeper;
  declare blocks: BlockKeeper;
  declare retention: Retention;
  readonly positions = new Map<JournalRef, JournalPosition>();
  /** What is older may have been dropped. */
  forgottenBefore = 0;
  sealed = 0;
  merged = 0;
  dropped = 0;
  droppedTiles = 0;
  readonly said: string[] = [];
  readonly corrupt: string[] = [];

  override tileSource(): HeadOptions['tileSource'] {
    this.database ??= new UnreliableStore(this.clock);
    this.start();
    return this.database;
  }

  override tileClosed(ref: JournalRef, tile: StoredTile): void {
    this.tiles.add(ref, tile);
  }

  /** The parts that a process begins with. */
  start(): void {
    if (this.blocks !== undefined) this.note();
    const log = (level: string, message: string): void => {
      if (level === 'error') this.said.push(message);
    };
    const common = { store: this.database, owner: 'me', leaseTtl: TTL, log };
    this.tiles = new TileKeeper({
      ...common,
      head: () => this.head,
      oldestReader: () => undefined,
    });
    this.blocks = new BlockKeeper({
      ...common,
      clock: systemClock,
      head: () => this.head,
      watermark: (ref) =>
        asTime(this.leaves.find(({ script }) => script.ref === ref)?.newestTime ?? 0),
      window: asDuration(5_000),
      spans: [asDuration(20_000), asDuration(60_000)],
      sealDelay: asDuration([0, 2_000, 12_000][this.random(3)]),
      abandonedAfter: asDuration(60_000),
      grace: asDuration(this.random(2) === 0 ? 5_000 : 1e9),
      mergeBytesMax: () => Promise.resolve(1e9),
      onTileCorrupt: (_ref, { group, minTime, maxTime }) =>
        void this.corrupt.push(`tile ${group} ${minTime}-${maxTime}`),
      onBlockCorrupt: (_ref, { id }) => void this.corrupt.push(`block ${id}`),
    });
    this.retention = new Retention({
      ...common,
      head: () => this.head,
      retention: asDuration(RETENTION),
      bytesMax: () => 0,
      tiles: { write: () => Promise.resolve(), hold: (task) => task() },
    });
  }

  note(): void {
    this.sealed += this.blocks.stats.sealed;
    this.merged += this.blocks.stats.merged;
    this.dropped += this.retention.stats.droppedBlocks;
    this.droppedTiles += this.retention.stats.droppedTiles;
  }

  async lease(ref: JournalRef): Promise<Lease> {
    const outcome = await this.database.acquireLease(ref, 'me', TTL);
    if (!outcome.granted) throw new Error('not granted');
    return outcome.lease;
  }

  override async deliver(leaf: ModelLeaf): Promise<void> {
    const { ref } = leaf.script;
    const entries: JournalEntry[] = leaf.script.take();
    const { epoch, sequence } = entries[entries.length - 1];
    const position = { epoch, sequence };
    const outcome = await this.database.commit({
      lease: await this.lease(ref),
      expected: this.positions.get(ref) ?? null,
      ...{ position, entries, cursor: '', ledger: '' },
    });
    expect(outcome.outcome).toBe('applied');
    this.positions.set(ref, position);
    this.head.apply(ref, entries);
  }

  /** The tiles that wait are written, and the journal is cut behind them. */
  override async reportStored(): Promise<void> {
    await this.tiles.write();
  }

  override async trim(): Promise<void> {
    await this.tiles.write();
    if (this.random(3) === 0) this.database.failFinish = this.random(2) ? 'before' : 'after';
    await this.blocks.run(this.clock.now());
    this.database.failFinish = undefined;
  }

  override async more(): Promise<void> {
    const now = this.clock.now();
    this.forgottenBefore = Math.max(this.forgottenBefore, now - RETENTION);
    await this.blocks.settle();
    await this.retention.run(now);
  }

  /** Killed: what waits is lost, a block that is being written stays unfinished. */
  override async restart(): Promise<void> {
    if (this.random(2) === 0) {
      const { ref } = this.leaves[this.random(2)].script;
      if ((await this.database.journal(ref)) !== undefined) {
        const lease = await this.lease(ref);
        const block = await this.database.nextBlock(lease);
        await this.database.putBlockChunks(lease, block, 0, [new Uint8Array(10)]);
      }
    }
    this.head = this.newHead();
    await recoverHead({
      ...{ store: this.database, head: this.head, log: () => {}, onProgress: () => {} },
    });
    this.expire();
  }

  override range(): TimeRange {
    const { minTime, maxTime } = super.range();
    const from = Math.max(minTime, this.forgottenBefore + 2 * RUN_BREAK);
    return { minTime: asTime(from), maxTime: asTime(Math.max(from, maxTime)) };
  }
}

interface Pinned {
  readonly snapshot: HeadSnapshot;
  readonly head: Head;
  readonly range: TimeRange;
  readonly answer: Answer;
}

it('gives the answers that plain arrays give', async () => {
  const totals = { sealed: 0, merged: 0, dropped: 0, mounted: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const world = new StoreWorld(round, WINDOW);
    let pinned: Pinned | undefined;
    for (let step = 0; step < STEPS; step++) {
      await world.step();
      if (world.random(8) === 0) {
        const range = world.range();
        const snapshot = world.head.snapshot();
        const answer = plainAnswer(world.groups, range);
        expect(await answerOf(snapshot, range), `round ${round} step ${step}`).toEqual(answer);
        expect(await lastOf(snapshot, range), `round ${round} step ${step}`).toEqual(
          newestIn(answer),
        );
        const names = await snapshot.labelValues('__name__', [], range);
        expect(names, `round ${round} step ${step}`).toEqual(
          expect.arrayContaining(Object.keys(answer)),
        );
        if (pinned === undefined && world.random(2) === 0) {
          pinned = { snapshot, head: world.head, range, answer };
        } else snapshot.release();
      }
      if (pinned === undefined) continue;
      const isOver = pinned.head !== world.head;
      if (!isOver && world.random(10) > 0) continue;
      const { snapshot, range, answer } = pinned;
      const isKept = range.minTime >= world.forgottenBefore + 2 * RUN_BREAK;
      if (isKept && !isOver) {
        const message = `pinned, round ${round} step ${step}`;
        expect(await answerOf(snapshot, range), message).toEqual(answer);
        expect(await lastOf(snapshot, range), message).toEqual(newestIn(answer));
      }
      snapshot.release();
      pinned = undefined;
    }
    pinned?.snapshot.release();
    world.note();
    totals.sealed += world.sealed;
    totals.merged += world.merged;
    totals.dropped += world.dropped;
    totals.mounted += world.head.stats.indexesRead;
    expect([...world.said, ...world.corrupt], `round ${round}`).toEqual([]);
    // A snapshot from before a retention may ask for what went, beside its range.
    if (world.dropped + world.droppedTiles === 0)
      expect(world.head.stats.tilesUnreadable, `round ${round}`).toBe(0);
  }
  // A world in which little happens proves nothing.
  expect(totals.sealed).toBeGreaterThan(ROUNDS);
  expect(totals.merged).toBeGreaterThan(ROUNDS / 10);
  expect(totals.dropped).toBeGreaterThan(ROUNDS / 10);
  expect(totals.mounted).toBeGreaterThan(ROUNDS);
}, 200_000);
