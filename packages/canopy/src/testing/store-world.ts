/**
 * The head's world over a store, with all that keeps tiles and blocks there: everything but the leaves is the
 * real thing. Writes fail by chance, the process is killed, the store goes back to an older state.
 */
import type { HeadOptions } from '@canopy/head';
import {
  type Delivery,
  INTERVAL,
  type ModelLeaf,
  ModelWorld,
  RUN_BREAK,
} from '@canopy/head/testing';
import {
  type BlockMeta,
  CanopyError,
  type CommitOutcome,
  JOURNAL_START,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Lease,
  type Store,
  type StoredTile,
  type TileMeta,
  asDuration,
  asTime,
  comparePositions,
} from '@canopy/model';
import { systemClock } from '../clock.js';
import { BlockKeeper } from '../parts/block-keeper.js';
import { recoverHead, recoverJournal } from '../parts/recovery.js';
import { Retention } from '../parts/retention.js';
import { JournalLeases } from '../parts/journal-leases.js';
import { TileKeeper } from '../parts/tile-keeper.js';
import { CHANCE, type StorePlace, unreliable } from './store-place.js';

const WINDOW = 10 * INTERVAL;
const HOUR = 3_600_000;
const TTL = asDuration(HOUR);
/** What is younger is not dropped where others fill the store; that is looked at again after a while. */
const KEPT = 2 * HOUR;
const STUCK = 60_000;
const NO_LIMITS = { maxBytes: 1e9, maxEntries: 1e9 };

/** What retention drops whole. */
interface Item {
  readonly name: string;
  readonly maxTime: number;
}

/** Of all lives of a world. */
export interface WorldTotals {
  sealed: number;
  merged: number;
  dropped: number;
  mounted: number;
  fallBacks: number;
  squeezed: number;
}

export class StoreWorld extends ModelWorld {
  readonly #place: StorePlace;
  /** Made before the first head asks for it. */
  declare database: Store;
  declare tiles: TileKeeper;
  declare blocks: BlockKeeper;
  declare retention: Retention;
  readonly totals: WorldTotals = {
    ...{ sealed: 0, merged: 0, dropped: 0, mounted: 0, fallBacks: 0, squeezed: 0 },
  };
  readonly #positions = new Map<JournalRef, JournalPosition>();
  /** Journals that were not asked since the store fell back. */
  readonly #astray = new Set<JournalRef>();
  readonly #retentionMs: number;
  #bytesMax = 0;
  #squeezedAt = 0;
  #failsAtTimes = false;

  constructor(seed: number, place: StorePlace) {
    super(seed, WINDOW);
    this.#place = place;
    this.#retentionMs = [8 * HOUR, 30 * HOUR, 0][this.random(3)];
    this.database = unreliable(
      () => this.#noted(),
      () => {
        if (!this.#failsAtTimes || this.random(12) > 0) return undefined;
        return this.random(2) === 0 ? 'before' : 'after';
      },
    );
    this.begun();
  }

  override tileSource(): HeadOptions['tileSource'] {
    return {
      readTiles: (...args) => this.database.readTiles(...args),
      readBlocks: (...args) => this.database.readBlocks(...args),
    };
  }

  override tileClosed(ref: JournalRef, tile: StoredTile): void {
    this.tiles.add(ref, tile);
  }

  /** The place's store; what is dropped in it is noted. */
  #noted(): Store {
    const store = this.#place.store();
    const note = (metas: ReadonlyArray<BlockMeta | TileMeta>): void => {
      const newest = Math.max(0, ...metas.map(({ maxTime }) => maxTime));
      this.exactFrom = Math.max(this.exactFrom, newest + 1 + 2 * RUN_BREAK);
    };
    return new Proxy(store, {
      get: (_, name: keyof Store) => {
        const method = store[name] as unknown;
        if (typeof method !== 'function') return method;
        return (...args: unknown[]): unknown => {
          if (name === 'dropTiles' || name === 'dropBlocks') note(args[1] as BlockMeta[]);
          return method.apply(store, args) as unknown;
        };
      },
    });
  }

  /** The parts that a process begins with. */
  begun(): void {
    const log = (level: string, message: string): void => {
      if (level === 'error' && !message.startsWith('the store is over')) this.wrong.push(message);
    };
    const { database: store, clock } = this;
    const leases = new JournalLeases({ store, clock, owner: 'me', ttl: TTL });
    const common = { store, leases, log };
    const onWentBack = async (ref: JournalRef): Promise<boolean> => {
      const leaf = this.leaves.find(({ script }) => script.ref === ref)!;
      await this.#wentBack(leaf, await this.database.journal(ref));
      return true;
    };
    this.tiles = new TileKeeper({
      ...common,
      head: () => this.head,
      hasUntoldGaps: () => false,
      oldestReader: () => undefined,
      onWentBack,
    });
    this.blocks = new BlockKeeper({
      ...common,
      clock: systemClock,
      head: () => this.head,
      watermark: (ref) =>
        asTime(this.leaves.find(({ script }) => script.ref === ref)?.newestTime ?? 0),
      window: asDuration(5 * INTERVAL),
      spans: [asDuration(20 * INTERVAL), asDuration(60 * INTERVAL)],
      sealDelay: asDuration([0, 2, 12][this.random(3)] * INTERVAL),
      abandonedAfter: asDuration(60 * INTERVAL),
      grace: asDuration(this.random(2) === 0 ? 0 : 1e12),
      mergeBytesMax: () => Promise.resolve(1e9),
      onTileCorrupt: (_ref, { group, minTime, maxTime }) =>
        void this.wrong.push(`corrupt tile ${group} ${minTime}-${maxTime}`),
      onBlockCorrupt: (_ref, { id }) => void this.wrong.push(`corrupt block ${id}`),
      onWentBack,
    });
    this.retention = new Retention({
      ...common,
      head: () => this.head,
      retention: asDuration(this.#retentionMs),
      bytesMax: () => this.#bytesMax,
      tiles: this.tiles,
    });
  }

  /** Adds up what the parts of this life did. */
  note(): void {
    this.totals.sealed += this.blocks.stats.sealed;
    this.totals.merged += this.blocks.stats.merged;
    this.totals.dropped += this.retention.stats.droppedBlocks;
    this.totals.mounted += this.head.stats.indexesRead;
  }

  async lease(ref: JournalRef): Promise<Lease> {
    const outcome = await this.database.acquireLease(ref, 'me', TTL);
    if (!outcome.granted) throw new Error('not granted');
    return outcome.lease;
  }

  override async deliver(leaf: ModelLeaf, delivery: Delivery): Promise<void> {
    const entries = this.takeSent(leaf);
    const outcome = await this.#commit(leaf, entries);
    if (outcome.outcome === 'applied' || outcome.outcome === 'already_applied') {
      this.apply(leaf, entries, delivery);
    } else {
      this.check(this.#astray.has(leaf.script.ref), true);
      await this.#wentBack(leaf, outcome.outcome === 'behind' ? outcome.state : undefined);
    }
  }

  override async deliverAgain(leaf: ModelLeaf): Promise<void> {
    const { ref } = leaf.script;
    const position = this.#positions.get(ref);
    if (position === undefined || this.#astray.has(ref)) return;
    const entries = leaf.sent.slice(-1);
    const outcome = await this.#place.store().commit({
      ...{
        lease: await this.lease(ref),
        expected: { ...position, sequence: position.sequence - 1 },
      },
      ...{ position, entries, cursor: '', ledger: '' },
    });
    this.check(outcome, { outcome: 'already_applied' });
    await super.deliverAgain(leaf);
  }

  /** Until its outcome is known. */
  async #commit(leaf: ModelLeaf, entries: readonly JournalEntry[]): Promise<CommitOutcome> {
    const { ref } = leaf.script;
    const { epoch, sequence } = entries[entries.length - 1];
    const position = { epoch, sequence };
    this.#failsAtTimes = this.random(4) === 0;
    for (;;) {
      try {
        const outcome = await this.database.commit({
          lease: await this.lease(ref),
          expected: this.#positions.get(ref) ?? null,
          ...{ position, entries, cursor: '', ledger: '' },
        });
        if (/applied/.test(outcome.outcome)) this.#positions.set(ref, position);
        return outcome;
      } catch (error) {
        if (!(error instanceof CanopyError) || error.message !== CHANCE) throw error;
      } finally {
        this.#failsAtTimes = false;
      }
    }
  }

  /** The store has less of a journal than its head: it is built up anew, and the leaf sends the rest again. */
  async #wentBack(leaf: ModelLeaf, state: JournalState | undefined): Promise<void> {
    const { ref } = leaf.script;
    this.tiles.forget(ref);
    this.blocks.forget(ref);
    this.head.dropJournal(ref);
    if (state !== undefined) await recoverJournal(this.database, this.head, state, () => {});
    await this.#sendRest(leaf, state);
    this.collisions.forget();
    this.expire();
    this.#found(ref);
  }

  /** What the store has not, as the leaf's journal has it. */
  async #sendRest(leaf: ModelLeaf, state: JournalState | undefined): Promise<void> {
    const { ref } = leaf.script;
    if (state === undefined) this.#positions.delete(ref);
    else this.#positions.set(ref, state.position);
    const from = state?.position ?? JOURNAL_START;
    const rest = leaf.sent.filter((entry) => comparePositions(entry, from) > 0);
    while (rest.length > 0) {
      const some = rest.splice(0, 1 + this.random(50));
      this.check((await this.#commit(leaf, some)).outcome.replace('already_', ''), 'applied');
      this.head.apply(ref, some);
    }
    const trimmed = (await this.database.journal(ref))?.trimmed ?? JOURNAL_START;
    this.noteRestored(ref, await this.database.readEntries(ref, trimmed, NO_LIMITS));
  }

  #found(ref: JournalRef): void {
    this.#astray.delete(ref);
    this.isLevel = this.#astray.size === 0;
  }

  /** The tiles that wait are written, and the journal is cut behind them. */
  override async reportStored(): Promise<void> {
    this.#failsAtTimes = this.random(3) === 0;
    await this.tiles.write();
    this.#failsAtTimes = false;
  }

  override async trim(): Promise<void> {
    await this.tiles.write();
    this.#failsAtTimes = this.random(3) === 0;
    await this.blocks.run(this.clock.now());
    this.#failsAtTimes = false;
    this.changes++;
  }

  override async more(): Promise<void> {
    const what = this.random(10);
    if (what < 3) await this.#place.backUp();
    else if (what < 5) await this.fallBack();
    else if (what < 8) await this.retain();
    else await this.squeeze();
  }

  async retain(): Promise<void> {
    await this.blocks.settle();
    await this.retention.run(this.clock.now());
    this.changes++;
  }

  /** The store is over its limit: the oldest goes, and no more than has to. */
  async squeeze(): Promise<void> {
    await this.blocks.settle();
    const { usedBytes } = await this.database.usage();
    this.#bytesMax = Math.max(1, Math.floor((usedBytes * (30 + this.random(80))) / 100));
    const now = this.clock.now();
    const before = await this.#items();
    // What was swept may have made less room than it took, by pages: the next round looks again.
    for (let round = 0; round < 2; round++) await this.retention.run(now);
    const names = new Set((await this.#items()).map(({ name }) => name));
    const dropped = before.filter(({ name }) => !names.has(name));
    const kept = before.filter(({ name }) => names.has(name));
    const youngest = Math.max(0, ...dropped.map(({ maxTime }) => maxTime));
    this.check(
      kept.filter(({ maxTime }) => maxTime < youngest),
      [],
    );
    const after = await this.database.usage();
    // Where it is still too much, nothing is left that may go.
    if (after.usedBytes > this.#bytesMax && now - this.#squeezedAt > STUCK) {
      this.check(
        kept.filter(({ maxTime }) => maxTime < now - KEPT),
        [],
      );
    }
    if (dropped.length > 0) this.totals.squeezed++;
    this.#squeezedAt = now;
    this.#bytesMax = 0;
    this.changes++;
  }

  async #items(): Promise<Item[]> {
    const items: Item[] = [];
    for (const { ref } of await this.database.journals()) {
      for (const { id, maxTime } of await this.database.blocks(ref)) {
        items.push({ name: `${ref} ${id}`, maxTime });
      }
      for (const { epoch, group, firstSequence, maxTime } of await this.database.tiles(ref)) {
        items.push({ name: `${ref} ${epoch}/${group}/${firstSequence}`, maxTime });
      }
    }
    return items;
  }

  /** The store is as it was; housekeeping may come before the next pull finds that out. */
  async fallBack(): Promise<void> {
    await this.#place.fallBack();
    this.totals.fallBacks++;
    for (const { script } of this.leaves) {
      if (this.#positions.has(script.ref)) this.#astray.add(script.ref);
    }
    this.isLevel = this.#astray.size === 0;
    if (this.#place.reopens) return this.restart();
    for (let chores = this.random(4); chores > 0; chores--) {
      const what = this.random(4);
      if (what === 0) await this.reportStored();
      else if (what === 1) await this.trim();
      else if (what === 2) await this.retain();
      else this.expire();
    }
    if (this.random(5) === 0) return this.restart();
    for (const leaf of this.leaves) {
      this.clock.stepWallClock(1 + this.random(INTERVAL));
      await this.frame(leaf, leaf.target);
    }
    await this.tiles.write();
    await this.blocks.run(this.clock.now());
    // What was lost since the last commit, without one since, is found out by now.
    for (const { script } of this.leaves) this.#found(script.ref);
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
    this.note();
    this.head = this.newHead();
    this.begun();
    await recoverHead({
      ...{ store: this.database, head: this.head, log: () => {}, onProgress: () => {} },
    });
    for (const leaf of this.leaves) {
      await this.#sendRest(leaf, await this.database.journal(leaf.script.ref));
      this.#found(leaf.script.ref);
    }
    this.collisions.forget();
    // What has ended by silence is found out again.
    this.expire();
  }

  /**
   * Days pass in which only the targets go on: nothing else is left in memory, and of the store's layouts.
   * Returns whether that could be seen: nothing of blocks is mounted.
   */
  async rest(): Promise<boolean> {
    for (let hours = 0; hours < 48; hours += 4) {
      this.clock.stepWallClock(4 * HOUR);
      for (const leaf of this.leaves) {
        this.clock.stepWallClock(1);
        await this.frame(leaf, leaf.target);
      }
      this.expire();
      // Wide tiles are encoded.
      await this.clock.advance(1);
      await this.tiles.write();
      await this.blocks.run(this.clock.now());
    }
    this.expire();
    await this.tiles.write();
    const { series, archiveBytes, groups } = this.head.stats;
    if (archiveBytes > 0) return false;
    const names = this.leaves.flatMap(({ target }) =>
      target.names.slice(0, target.slotTimes.length),
    );
    this.check({ series, groups }, { series: new Set(names).size, groups: this.leaves.length });
    // What has just ended goes with the next tile.
    const recent = this.groups.filter(
      ({ touchedTime }) => touchedTime > this.clock.now() - 12 * HOUR,
    );
    for (const { script } of this.leaves) {
      const layouts = await this.database.readLayouts(script.ref);
      const left = layouts.filter(
        ({ epoch, group }) =>
          !recent.some(
            ({ options: { ref, ...own } }) =>
              ref === script.ref && own.epoch === epoch && own.script.id === group,
          ),
      );
      this.check(
        left.map(({ epoch, group }) => `${epoch}/${group}`),
        [],
      );
    }
    return true;
  }
}
