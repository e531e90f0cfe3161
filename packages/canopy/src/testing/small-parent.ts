/** A parent in small, for tests of what it keeps. */
import { MemoryStore } from '@canopy/federation/testing';
import { Head } from '@canopy/head';
import { JournalScript, type ScriptGroup } from '@canopy/head/testing';
import {
  type JournalPosition,
  type JournalRef,
  type TimeRange,
  asDuration,
  asTime,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { systemClock } from '../clock.js';
import { BlockKeeper, type BlockKeeperOptions } from '../parts/block-keeper.js';
import { JournalLeases } from '../parts/journal-leases.js';
import { recoverJournal } from '../parts/recovery.js';
import { TileKeeper, type TileKeeperOptions } from '../parts/tile-keeper.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const TTL = asDuration(1e9);
export const EVER: TimeRange = { minTime: asTime(0), maxTime: asTime(8.64e15) };

/** One source, scraped each minute, everything real but the store. */
export class SmallParent {
  readonly clock = new VirtualClock(1_700_006_400_000 - (1_700_006_400_000 % (24 * HOUR)));
  readonly store = new MemoryStore(this.clock);
  readonly script = new JournalScript('a');
  readonly ref: JournalRef = this.script.ref;
  readonly leases = new JournalLeases({
    ...{ store: this.store, clock: systemClock, owner: 'me', ttl: TTL },
  });
  readonly said: string[] = [];
  readonly corrupt: string[] = [];
  watermark = 0;
  head = this.newHead();
  tiles = this.newTiles();
  blocks = this.newBlocks();
  #position: JournalPosition | null = null;

  newHead(): Head {
    return new Head({
      clock: this.clock,
      windowMs: asDuration(2 * HOUR),
      tileFrames: 30,
      outOfOrderWindow: asDuration(0),
      onTileClosed: (ref, tile) => this.tiles.add(ref, tile),
      tileSource: this.store,
      maxSeries: 1000,
    });
  }

  newTiles(given: Partial<TileKeeperOptions> = {}): TileKeeper {
    return new TileKeeper({
      ...{ store: this.store, leases: this.leases, log: () => {} },
      head: () => this.head,
      hasUntoldGaps: () => false,
      oldestReader: () => undefined,
      ...given,
    });
  }

  newBlocks(given: Partial<BlockKeeperOptions> = {}): BlockKeeper {
    return new BlockKeeper({
      ...{ store: this.store, clock: systemClock, leases: this.leases },
      head: () => this.head,
      watermark: () => asTime(this.watermark),
      window: asDuration(2 * HOUR),
      spans: [asDuration(8 * HOUR), asDuration(24 * HOUR)],
      sealDelay: asDuration(HOUR),
      abandonedAfter: asDuration(24 * HOUR),
      grace: asDuration(10 * MINUTE),
      mergeBytesMax: () => Promise.resolve(1e9),
      onTileCorrupt: (_ref, { group, minTime, maxTime }) =>
        void this.corrupt.push(`tile ${group} ${minTime}-${maxTime}`),
      onBlockCorrupt: (_ref, { id }) => void this.corrupt.push(`block ${id}`),
      log: (level, message) => void this.said.push(`${level} ${message}`),
      ...given,
    });
  }

  group(name: string, continues = 0): ScriptGroup {
    return this.script.group({ interval: MINUTE, continues }).add({ __name__: 'm', pod: name });
  }

  /** Takes in what the script has made. */
  async take(): Promise<void> {
    const entries = this.script.take();
    const outcome = await this.store.acquireLease(this.ref, 'me', TTL);
    if (!outcome.granted || entries.length === 0) return;
    const { epoch, sequence } = entries[entries.length - 1];
    const position = { epoch, sequence };
    const rest = { cursor: '', ledger: '', entries, position };
    await this.store.commit({ lease: outcome.lease, expected: this.#position, ...rest });
    this.#position = position;
    this.head.apply(this.ref, entries);
  }

  /** What is left in the store is all there is. */
  async buildAnew(): Promise<void> {
    this.head.dropJournal(this.ref);
    const state = await this.store.journal(this.ref);
    if (state !== undefined) await recoverJournal(this.store, this.head, state, () => {});
  }

  /** What housekeeping does. */
  async keep(): Promise<void> {
    this.head.expire(this.clock.now());
    await this.tiles.write();
    await this.blocks.run(this.clock.now());
    await this.tiles.write();
  }

  windows(): string[] {
    const hours = (time: number) => ((time % (24 * HOUR)) / HOUR || 24).toString();
    const list = this.head.blocks.list(this.ref).sort((a, b) => a.from - b.from);
    return list.map(({ from, to }) => `${(from % (24 * HOUR)) / HOUR}-${hours(to)}`);
  }

  async count(range = EVER): Promise<Record<string, number>> {
    const snapshot = this.head.snapshot();
    const found: Record<string, number> = {};
    for (const { labels, from, to, states } of await snapshot.select([], range)) {
      let samples = 0;
      for (let i = from; i < to; i++) if (states === null || states[i] === 1) samples++;
      found[labels[3]] = samples;
    }
    snapshot.release();
    return found;
  }
}
