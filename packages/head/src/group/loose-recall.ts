/**
 * What loose groups knew of their series before this process: each one's newest sample, and the samples within the
 * out-of-order window, out of tiles that the store has. Without it a sample that is late, or doubled, would be taken
 * for a new one after a restart.
 */
import { type BlockIndex, TileReader } from '@canopy/encoding';
import { type BlockMeta, FormatError, type TileMeta } from '@canopy/model';
import type { JournalGroups } from '../journal-groups.js';
import type { Group } from './group.js';
import type { LooseLimits } from './loose-slots.js';

/** A tile that is to be read: among the store's tiles, or in a block. */
export interface RecalledTile {
  readonly group: Group;
  readonly meta: TileMeta;
  /** Undefined: in no block. */
  readonly block: BlockMeta | undefined;
  /** Within the block. */
  readonly position: number;
}

/** To be used after layouts, tiles and blocks were restored and before entries are applied; then thrown away. */
export class LooseRecall {
  /** Also those that were succeeded: of them, too, the journal may have frames that are in no tile. */
  readonly #groups = new Map<string, Group>();
  readonly #limits: LooseLimits;
  readonly #newestTime: number;
  readonly #tiles: RecalledTile[] = [];

  constructor(journal: JournalGroups | undefined, limits: LooseLimits) {
    this.#limits = limits;
    this.#newestTime = journal?.newestTime ?? Number.NEGATIVE_INFINITY;
    for (const group of journal ?? []) {
      if (group.meta.kind !== 'loose' || group.released) continue;
      this.#groups.set(`${group.epoch}/${group.id}`, group);
      for (const { meta } of group.tiles) {
        this.#tiles.push({ group, meta, block: undefined, position: 0 });
      }
    }
  }

  /**
   * Whether a block may say how far a group was that may go on, and of loose ones, whose newest sample is no further
   * behind the journal's than the memory reaches, what they are judged by.
   */
  isRecent({ maxTime }: BlockMeta): boolean {
    const reach = this.#groups.size === 0 ? 1 : 2;
    return maxTime >= this.#newestTime - reach * this.#limits.memoryMs;
  }

  /** Notes the tiles that a block has. */
  addBlock(block: BlockMeta, index: BlockIndex): void {
    for (let i = 0; i < index.groupCount; i++) {
      const group = this.#groups.get(`${index.epoch(i)}/${index.group(i)}`);
      if (group === undefined) continue;
      for (const { position, ...extent } of index.tiles(i)) {
        const meta = { ...extent, epoch: group.epoch, group: group.id };
        this.#tiles.push({ group, meta, block, position });
      }
    }
  }

  /** The tiles that matter, the newest first. */
  tiles(): RecalledTile[] {
    const { memoryMs } = this.#limits;
    return this.#tiles
      .filter(({ group, meta }) => meta.maxTime >= group.lastTime - memoryMs)
      .sort((a, b) => b.meta.maxTime - a.meta.maxTime);
  }

  /** Whether a tile may say what newer ones have not said. */
  isWanted({ group, meta }: RecalledTile): boolean {
    return group.isUnknown(meta.maxTime, this.#limits);
  }

  /** Bytes may be kept for as long as the window reaches them. Those that fail their checks say nothing. */
  take({ group, meta }: RecalledTile, bytes: Uint8Array): void {
    try {
      group.recall(meta, new TileReader(bytes), this.#limits);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
}
