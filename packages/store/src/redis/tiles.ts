/** Closed tiles of a journal that are in no block yet: by window, so that a window goes in one step. */
import {
  type JournalRef,
  type Lease,
  type StoredTile,
  type TileMeta,
  tileWindow,
} from '@canopy/model';
import { leaseLost } from '../commit.js';
import { timelessGap } from '../corrupt.js';
import type { CorruptRecord } from '../health.js';
import { sealText, unsealText } from '../seal.js';
import type { RedisConnection } from './connection.js';
import { type RedisKeys, parseField, tileField } from './keys.js';
import { type RunScript, type ScriptArgument, asBuffer } from './scripts.js';

/** Tiles in one script: a script stops the server for others. */
const SCRIPT_ITEMS = 200;
const SCRIPT_BYTES = 4 * 1024 * 1024;
const SCAN_COUNT = 500;
const TILES_AT_ONCE = 64;

export class RedisTiles {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #run: RunScript;
  readonly #onCorrupt: (record: CorruptRecord) => void;

  constructor(
    connection: RedisConnection,
    keys: RedisKeys,
    run: RunScript,
    onCorrupt: (record: CorruptRecord) => void,
  ) {
    this.#onCorrupt = onCorrupt;
    this.#connection = connection;
    this.#keys = keys;
    this.#run = run;
  }

  /** As in Store. */
  async put(lease: Lease, tiles: readonly StoredTile[]): Promise<void> {
    let some: StoredTile[] = [];
    let bytes = 0;
    for (const tile of tiles) {
      some.push(tile);
      bytes += tile.bytes.length;
      if (some.length < SCRIPT_ITEMS && bytes < SCRIPT_BYTES) continue;
      await this.#putSome(lease, some);
      some = [];
      bytes = 0;
    }
    if (some.length > 0) await this.#putSome(lease, some);
  }

  /** As in Store. */
  async list(ref: JournalRef): Promise<TileMeta[]> {
    const found = new Map<string, TileMeta>();
    const key = this.#keys.windows(ref);
    for (const window of await this.#connection.run((client) => client.smembers(key), key)) {
      await this.#scan(ref, Number(window), found);
    }
    return [...found.values()];
  }

  /** As in Store. */
  async read(ref: JournalRef, tiles: readonly TileMeta[]): Promise<Array<Uint8Array | undefined>> {
    const found = Array.from<Uint8Array | undefined>({ length: tiles.length });
    for (const [window, places] of byWindow(tiles)) {
      const key = this.#keys.tiles(ref, window);
      for (let from = 0; from < places.length; from += TILES_AT_ONCE) {
        const some = places.slice(from, from + TILES_AT_ONCE);
        const fields = some.map((place) => tileField(tiles[place]));
        const values = await this.#connection.run(
          (client) => client.hmgetBuffer(key, ...fields),
          key,
        );
        some.forEach((place, i) => (found[place] = values[i] ?? undefined));
      }
    }
    return found;
  }

  /** As in Store. */
  async drop(lease: Lease, tiles: readonly TileMeta[]): Promise<void> {
    for (let from = 0; from < tiles.length; from += SCRIPT_ITEMS) {
      const some = tiles.slice(from, from + SCRIPT_ITEMS);
      const args: ScriptArgument[] = [];
      const keys = this.#place(lease.journal, some, (place, i) => {
        args.push(place, tileWindow(some[i]), tileField(some[i]));
      });
      await this.#write('tiles_drop', lease, keys, args);
    }
  }

  async #putSome(lease: Lease, tiles: readonly StoredTile[]): Promise<void> {
    const args: ScriptArgument[] = [];
    const metas = tiles.map(({ meta }) => meta);
    const keys = this.#place(lease.journal, metas, (place, i) => {
      const { lastSequence, minTime, maxTime, byteLength } = metas[i];
      const extent = [lastSequence, minTime, maxTime, byteLength].join(' ');
      const [window, field] = [tileWindow(metas[i]), tileField(metas[i])];
      const sealed = sealText(`${this.#keys.extents(lease.journal, window)} ${field}`, extent);
      args.push(place, window, field, sealed, asBuffer(tiles[i].bytes));
    });
    await this.#write('tiles_put', lease, keys, args);
  }

  /** Keys of the windows of tiles; `visit` is told each tile's place among them. */
  #place(
    ref: JournalRef,
    tiles: readonly TileMeta[],
    visit: (place: number, index: number) => void,
  ): string[] {
    const places = new Map<number, number>();
    const keys: string[] = [];
    tiles.forEach((tile, i) => {
      const window = tileWindow(tile);
      let place = places.get(window);
      if (place === undefined) {
        places.set(window, (place = places.size));
        keys.push(this.#keys.tiles(ref, window), this.#keys.extents(ref, window));
      }
      visit(place, i);
    });
    return keys;
  }

  async #write(
    name: 'tiles_put' | 'tiles_drop',
    { journal, owner, fence }: Lease,
    keys: readonly string[],
    args: readonly ScriptArgument[],
  ): Promise<void> {
    const own = [this.#keys.lease(journal), this.#keys.windows(journal)];
    const reply = await this.#run(name, [...own, ...keys], [owner, fence, ...args]);
    if (reply === -1) throw leaseLost(journal);
  }

  /** Meets every field at least once; one that is written meanwhile perhaps twice. */
  async #scan(ref: JournalRef, window: number, found: Map<string, TileMeta>): Promise<void> {
    const key = this.#keys.extents(ref, window);
    let cursor = '0';
    do {
      const [next, parts] = await this.#connection.run(
        (client) => client.hscan(key, cursor, 'COUNT', SCAN_COUNT),
        key,
      );
      for (let i = 0; i + 1 < parts.length; i += 2) {
        const [epoch, group, firstSequence] = parseField(parts[i]);
        const extentText = unsealText(`${key} ${parts[i]}`, parts[i + 1]);
        if (extentText === undefined) {
          const message = `the extent of a tile in ${key} fails its check`;
          const gap = timelessGap(group);
          this.#onCorrupt({ journal: ref, what: 'tile', place: parts[i], message, gap });
          continue;
        }
        const [lastSequence, minTime, maxTime, byteLength] = extentText.split(' ').map(Number);
        const extent = { lastSequence, minTime, maxTime, byteLength };
        found.set(parts[i], { epoch, group, firstSequence, ...extent } as TileMeta);
      }
      cursor = next;
    } while (cursor !== '0');
  }
}

/** Window → places of its tiles in the list. */
export function byWindow(tiles: readonly TileMeta[]): Map<number, number[]> {
  const windows = new Map<number, number[]>();
  tiles.forEach((tile, i) => {
    const window = tileWindow(tile);
    const places = windows.get(window);
    if (places === undefined) windows.set(window, [i]);
    else places.push(i);
  });
  return windows;
}
