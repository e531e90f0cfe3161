/**
 * A leaf's tiles: those of its head's window lie in the store beside the journal, so that a restart reads
 * them and decodes the end of the journal only. The journal is kept for parents; a document says from
 * where on a restart needs it. What is here can be made anew: it is never a reason to stop.
 */
import type { Head, TileSource } from '@canopy/head';
import {
  type Clock,
  type DurationMs,
  type JournalPosition,
  type JournalRef,
  type Store,
  type StoredTile,
  asTime,
  comparePositions,
  readRemade,
} from '@canopy/model';
import type { Log } from '../log.js';
import type { Chore } from './housekeeping.js';
import type { JournalLeases } from './journal-leases.js';
import { Retention } from './retention.js';
import { TileKeeper } from './tile-keeper.js';
import { Warming } from './warming.js';

const DOCUMENT = 'journal/tiles';
/** Tiles that come back into memory after a start. */
const WARM_BYTES_MAX = 1024 * 1024 * 1024;

export interface RecentTilesOptions {
  readonly store: Store;
  readonly head: () => Head;
  readonly clock: Clock;
  readonly leases: JournalLeases;
  /** Tiles without a sample in it are dropped. */
  readonly window: DurationMs;
  /** What they may take of the store; what is beyond stays in memory and is decoded again after a restart. */
  readonly bytesMax: number;
  readonly log: Log;
}

/** Everything of `journal` up to this position that a restart needs is in its tiles. */
interface Covered extends JournalPosition {
  readonly journal: JournalRef;
}

export class RecentTiles {
  readonly #options: RecentTilesOptions;
  readonly keeper: TileKeeper;
  readonly retention: Retention;
  readonly #warming: Warming;
  /** In the store when this process began. */
  #foundBytes = 0;
  #isOver = false;

  constructor(options: RecentTilesOptions) {
    this.#options = options;
    this.keeper = new TileKeeper({
      ...options,
      oldestReader: () => undefined,
      hasUntoldGaps: () => false,
      onCovered: (ref, upTo) => this.#note(ref, upTo),
    });
    this.retention = new Retention({
      ...{ ...options, retention: options.window },
      ...{ bytesMax: () => 0, tiles: this.keeper },
    });
    this.#warming = new Warming({ ...options, bytesMax: WARM_BYTES_MAX });
  }

  get source(): TileSource {
    return this.#options.store;
  }

  /** What is being read back, for people; '' for nothing. */
  get text(): string {
    return this.#warming.text;
  }

  /** Takes a closed tile. */
  add(ref: JournalRef, tile: StoredTile): void {
    this.keeper.add(ref, tile);
  }

  /** Where a restart begins to read the journal: after `otherwise`, or later where tiles hold more. */
  async replayFrom(ref: JournalRef, otherwise: JournalPosition): Promise<JournalPosition> {
    const { store } = this.#options;
    const found = await store.tiles(ref);
    this.#foundBytes = found.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const covered = parseCovered(await readRemade(store, DOCUMENT));
    if (covered?.journal !== ref || comparePositions(covered, otherwise) <= 0) return otherwise;
    return { epoch: covered.epoch, sequence: covered.sequence };
  }

  /** Once the head has been recovered: reads tiles back into memory. */
  start(): void {
    this.#warming.start();
  }

  async stop(): Promise<void> {
    await this.#warming.stop();
    await this.#write();
  }

  /** Only once the head has been recovered: what it needs of the journal is not known before. */
  chores(): Chore[] {
    return [
      { name: 'tiles', when: '*/15 * * * * *', run: () => this.#write() },
      {
        name: 'retention of tiles',
        when: '45 */10 * * * *',
        run: () => this.retention.run(this.#options.clock.now()),
      },
    ];
  }

  async #write(): Promise<void> {
    if (!this.#noteOver()) await this.keeper.write();
    // The store has no room for them, and they are past the window.
    const { clock, window, head } = this.#options;
    for (const { ref, tile } of this.keeper.takeBefore(asTime(clock.now() - window))) {
      head().dropTiles(ref, [tile.meta]);
    }
  }

  #noteOver(): boolean {
    const { bytesMax, log } = this.#options;
    const { bytesStored } = this.keeper.stats;
    const bytes = this.#foundBytes + bytesStored - this.retention.stats.droppedBytes;
    const isOver = bytes >= bytesMax;
    if (isOver && !this.#isOver) {
      const fields = { bytes, limitBytes: bytesMax };
      log(
        'warn',
        'recent tiles have reached their share of the store: a restart takes longer',
        fields,
      );
    }
    return (this.#isOver = isOver);
  }

  #note(journal: JournalRef, { epoch, sequence }: JournalPosition): Promise<void> {
    const covered: Covered = { journal, epoch, sequence };
    return this.#options.store.putDocument(DOCUMENT, JSON.stringify(covered));
  }
}

/** Undefined where there is none, or none that can be read: then more of the journal is. */
function parseCovered(text: string | undefined): Covered | undefined {
  try {
    const { journal, epoch, sequence } = JSON.parse(text ?? '{}') as Partial<Covered>;
    const isPlace = Number.isSafeInteger(epoch) && Number.isSafeInteger(sequence);
    if (journal !== undefined && isPlace) return { journal, epoch: epoch!, sequence: sequence! };
  } catch {
    // As if it were not there.
  }
  return undefined;
}
