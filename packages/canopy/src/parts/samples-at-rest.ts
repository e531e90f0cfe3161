/**
 * What a parent that writes its store does with samples that have come to rest: windows are sealed into
 * blocks, blocks merged, the oldest dropped. When, and within which bounds.
 */
import { type Clock, type JournalRef, type Milliseconds, asDuration, asTime } from '@canopy/model';
import pLimit from 'p-limit';
import { BlockKeeper } from './block-keeper.js';
import { corruptBlock, corruptTile } from './found-damage.js';
import { buildAnew } from './fallen-store.js';
import { hasUntoldGaps } from './found-gaps.js';
import type { Chore } from './housekeeping.js';
import type { CanopyProcess } from './process.js';
import { Retention } from './retention.js';
import type { TileKeeper } from './tile-keeper.js';

const MINUTE = 60_000;
/** Blocks of one window (two hours) at first, then of four, then of twelve: longer ones would only make retention coarser. */
const SPANS = [4, 12];
/** How much later a window is sealed, as a part of it. */
const SEAL_DELAY = 1 / 2;
/** A leaf keeps its journal for a day: what it has not sent by then it does not have. In windows. */
const ABANDONED_AFTER = 12;
const GRACE_MAX = 10 * MINUTE;
const MERGED_BYTES_MAX = 1024 * 1024 * 1024;
/** Of what retention may keep: dropping one block must not drop most of it. */
const MERGED_SHARE = 1 / 16;
/** Share of the store's limit that samples may take when `--retention.bytes` is 0. */
const DEFAULT_SHARE = 0.7;
const ROOM = '*/2 * * * * *';
const OFTEN = '*/5 * * * * *';

export class SamplesAtRest {
  readonly blocks: BlockKeeper;
  readonly retention: Retention;
  /** Windows so short are for tests; they are looked at all the time. */
  readonly #isShort: boolean;

  readonly #clock: Clock;

  constructor(process: CanopyProcess, tiles: TileKeeper) {
    const { store, clock, leases, log, settings } = process;
    this.#clock = clock;
    const { blocksWindow: window } = settings;
    const bytesMax = (limitBytes: number): number =>
      settings.retentionBytes || Math.floor(DEFAULT_SHARE * limitBytes);
    const common = { store, clock, leases, log, head: () => process.head };
    this.#isShort = window < 10 * MINUTE;
    this.blocks = new BlockKeeper({
      ...{ ...common, window, watermark: (ref) => watermarkOf(process, ref) },
      spans: SPANS.map((windows) => asDuration(windows * window)),
      sealDelay: asDuration(window * SEAL_DELAY),
      abandonedAfter: asDuration(window * ABANDONED_AFTER),
      onTileCorrupt: (ref, meta) => process.corrupt.note(corruptTile(ref, meta)),
      hasUntoldGaps: (ref) => hasUntoldGaps(process, ref),
      onBlockCorrupt: (ref, meta) => process.corrupt.note(corruptBlock(ref, meta)),
      onWentBack: (ref) => buildAnew(process, ref),
      grace: asDuration(Math.min(GRACE_MAX, window)),
      mergeBytesMax: async () => {
        const limit = bytesMax((await store.usage()).limitBytes);
        return limit === 0 ? MERGED_BYTES_MAX : Math.min(MERGED_BYTES_MAX, limit * MERGED_SHARE);
      },
    });
    this.retention = new Retention({
      ...{ ...common, bytesMax, tiles, retention: settings.retentionRaw },
    });
  }

  /** For as long as this parent writes the store. */
  chores(): Chore[] {
    // What is being merged must not be dropped meanwhile.
    const inTurn = pLimit(1);
    const drop = async (): Promise<void> => {
      await this.blocks.settle();
      await this.retention.run(this.#clock.now());
    };
    const seal = (): Promise<void> => this.blocks.run(this.#clock.now());
    return [
      {
        name: 'retention',
        // Room is made before a write would be refused, and where somebody lowered the limit soon after.
        when: ROOM,
        run: () => inTurn(drop),
      },
      {
        name: 'blocks',
        when: this.#isShort ? OFTEN : '15 */5 * * * *',
        run: () => inTurn(seal),
      },
    ];
  }
}

/** A source is complete up to here; 0: not known. */
function watermarkOf({ journal, puller }: CanopyProcess, ref: JournalRef): Milliseconds {
  return asTime(ref === journal?.ref ? journal.watermark : (puller?.watermark(ref) ?? 0));
}
