/** What is said of tiles and blocks that fail their checks, and of the time that is missing for them. */
import {
  type BlockMeta,
  type GapRecord,
  type GroupId,
  type JournalRef,
  type Store,
  type TileMeta,
  asTime,
  blockName,
} from '@canopy/model';
import type { CorruptRecord } from '@canopy/store';
import { nameOf } from './tile-places.js';

/**
 * Tells what is damaged from what is only there no more. After the store fell back, or was wiped, a head reads in places
 * that it knows of before it finds out, and the number of a block may have been given to another one by then.
 */
export class FoundDamage {
  readonly #store: Pick<Store, 'blocks' | 'tiles'>;
  readonly #note: (record: CorruptRecord) => void;
  /** Looked for now: who selects finds each of them as often as it is read. */
  readonly #asked = new Set<string>();

  /** `note` is told of what is damaged. */
  constructor(store: Pick<Store, 'blocks' | 'tiles'>, note: (record: CorruptRecord) => void) {
    this.#store = store;
    this.#note = note;
  }

  /** A tile whose bytes fail their checks. `block`: they were read there. */
  tile(ref: JournalRef, meta: TileMeta, block?: BlockMeta): void {
    const isThere = async (): Promise<boolean> =>
      block === undefined ? this.#hasTile(ref, meta) : this.#hasBlock(ref, block);
    this.#noteIf(corruptTile(ref, meta), isThere);
  }

  /** A block whose index fails its checks. */
  block(ref: JournalRef, meta: BlockMeta): void {
    this.#noteIf(corruptBlock(ref, meta), () => this.#hasBlock(ref, meta));
  }

  #noteIf(record: CorruptRecord, isThere: () => Promise<boolean>): void {
    const key = `${record.journal} ${record.place}`;
    if (this.#asked.has(key)) return;
    this.#asked.add(key);
    isThere()
      .then((is) => is && this.#note(record))
      // Where the store does not answer: it is found again when it is read again.
      .catch(() => {})
      .finally(() => this.#asked.delete(key));
  }

  async #hasBlock(ref: JournalRef, meta: BlockMeta): Promise<boolean> {
    const name = blockName(meta);
    return (await this.#store.blocks(ref)).some((block) => blockName(block) === name);
  }

  async #hasTile(ref: JournalRef, meta: TileMeta): Promise<boolean> {
    const name = nameOf(meta);
    return (await this.#store.tiles(ref)).some((tile) => nameOf(tile) === name);
  }
}

export function corruptTile(journal: JournalRef, meta: TileMeta): CorruptRecord {
  const { epoch, group, firstSequence } = meta;
  const place = `${epoch}-${group}-${firstSequence}`;
  const message = 'the tile fails its checks';
  return { journal, what: 'tile', place, message, gap: gapOf(group, meta) };
}

export function corruptBlock(journal: JournalRef, meta: BlockMeta): CorruptRecord {
  const message = 'the index of the block fails its checks';
  return { journal, what: 'block', place: `block ${meta.id}`, message, gap: gapOf(0, meta) };
}

/** Group 0: of all. */
function gapOf(
  group: GroupId,
  { minTime, maxTime }: Pick<TileMeta, 'minTime' | 'maxTime'>,
): GapRecord {
  const times = { from: asTime(minTime - 1), to: asTime(maxTime + 1) };
  return { group, ...times, cause: 'corrupt', frames: -1 };
}
