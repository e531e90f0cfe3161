/** Tiles in LMDB that are in no block yet. Callers hold the lease and their turn. */
import type { JournalRef, StoredTile, TileMeta } from '@canopy/model';
import { timelessGap } from '../corrupt.js';
import type { CorruptRecord } from '../health.js';
import { groupKey, journalPrefix, keyAfterAll, readGroupKey } from './keys.js';
import { STEP_BYTES, nextTurn, scan } from './scan.js';
import type { Table } from './table.js';
import { RECORD_OVERHEAD_BYTES, type Tables, type Write } from './tables.js';

/** Deletions in one transaction. */
const STEP_DELETIONS = 4000;
/** Tiles may take the store over its limit by so much (the map has more): the journal is cut behind them. */
const RESERVE_BYTES = 8 * 1024 * 1024;

export class EmbeddedTiles {
  readonly #tiles: Table;
  readonly #metas: Table;
  readonly #write: Write;
  readonly #onCorrupt: (record: CorruptRecord) => void;

  constructor(tables: Tables, write: Write, onCorrupt: (record: CorruptRecord) => void) {
    this.#onCorrupt = onCorrupt;
    this.#tiles = tables.get('tiles');
    this.#metas = tables.get('tile-metas');
    this.#write = write;
  }

  /** As in Store. */
  async put(ref: JournalRef, tiles: readonly StoredTile[]): Promise<void> {
    const prefix = journalPrefix(ref);
    let bytes = 0;
    for (const tile of tiles) bytes += tile.bytes.length + 2 * RECORD_OVERHEAD_BYTES;
    const puts = (): void => {
      for (const { meta, bytes: tile } of tiles) {
        const key = groupKey(prefix, meta.epoch, meta.group, meta.firstSequence);
        this.#tiles.put(key, tile);
        this.#metas.put(key, extent(meta));
      }
    };
    await this.#write(bytes, puts, RESERVE_BYTES);
  }

  has(ref: JournalRef, { epoch, group, firstSequence }: TileMeta): boolean {
    const key = groupKey(journalPrefix(ref), epoch, group, firstSequence);
    return this.#metas.get(key) !== undefined;
  }

  /** As in Store. */
  async list(ref: JournalRef): Promise<TileMeta[]> {
    const found: TileMeta[] = [];
    const prefix = journalPrefix(ref);
    await scan(this.#metas, prefix, keyAfterAll(prefix), (key, value) => {
      const { epoch, group, sequence } = readGroupKey(key);
      if (value === null) {
        const place = `${epoch}-${group}-${sequence}`;
        const message = 'the extent of a tile fails its checksum';
        this.#onCorrupt({ journal: ref, what: 'tile', place, message, gap: timelessGap(group) });
        return true;
      }
      const [lastSequence, minTime, maxTime, byteLength] = JSON.parse(value.toString()) as number[];
      const rest = { lastSequence, minTime, maxTime, byteLength };
      found.push({ epoch, group, firstSequence: sequence, ...rest } as TileMeta);
      return true;
    });
    return found;
  }

  /** As in Store. */
  async read(ref: JournalRef, tiles: readonly TileMeta[]): Promise<Array<Uint8Array | undefined>> {
    const prefix = journalPrefix(ref);
    const found: Array<Uint8Array | undefined> = [];
    let stepBytes = 0;
    for (const { epoch, group, firstSequence } of tiles) {
      const bytes = this.#tiles.get(groupKey(prefix, epoch, group, firstSequence));
      // No bytes at all are no tile: whoever reads it names it, as any that fails its checks.
      found.push(bytes === null ? Buffer.alloc(0) : bytes);
      stepBytes += bytes?.length ?? 0;
      if (stepBytes > STEP_BYTES) {
        stepBytes = 0;
        await nextTurn();
      }
    }
    return found;
  }

  /** As in Store. */
  async drop(ref: JournalRef, tiles: readonly TileMeta[]): Promise<void> {
    const prefix = journalPrefix(ref);
    for (let from = 0; from < tiles.length; from += STEP_DELETIONS) {
      const step = tiles.slice(from, from + STEP_DELETIONS);
      await this.#write(0, () => {
        for (const { epoch, group, firstSequence } of step) {
          const key = groupKey(prefix, epoch, group, firstSequence);
          this.#tiles.remove(key);
          this.#metas.remove(key);
        }
      });
    }
  }
}

function extent({ lastSequence, minTime, maxTime, byteLength }: TileMeta): Buffer {
  return Buffer.from(JSON.stringify([lastSequence, minTime, maxTime, byteLength]));
}
