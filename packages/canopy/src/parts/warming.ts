/**
 * After a start: tiles of the head's window, which only the store has, come back into memory, the newest
 * first, so that recent data is answered even where the store stops answering. In the background and in
 * short steps: queries that need a tile sooner read it themselves.
 */
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type JournalRef,
  type Store,
  type TileMeta,
  asDuration,
  asTime,
  errorText,
  sleep,
} from '@canopy/model';
import type { Head } from '@canopy/head';
import type { Log } from '../log.js';

export interface WarmingOptions {
  readonly store: Pick<Store, 'readTiles'>;
  readonly head: () => Head;
  readonly clock: Clock;
  readonly window: DurationMs;
  /** What is older stays with the store where more would come into memory. */
  readonly bytesMax: number;
  readonly log: Log;
}

/** Read from the store at once. */
const BATCH_BYTES = 1024 * 1024;
const STEP_MS = 10;
const RETRY_MS = 1000;
const PROGRESS_MS = 2000;

interface ColdTile {
  readonly ref: JournalRef;
  readonly meta: TileMeta;
}

export class Warming {
  readonly #options: WarmingOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #again = false;
  #doneBytes = 0;
  #ofBytes = 0;

  constructor(options: WarmingOptions) {
    this.#options = options;
  }

  /** For people; '' where nothing is cold. */
  get text(): string {
    if (this.#running === undefined) return '';
    const percent = Math.floor((100 * this.#doneBytes) / Math.max(1, this.#ofBytes));
    const size = (this.#ofBytes / 1e6).toFixed(0);
    return `warming: ${percent} % of ${size} MB of tiles are in memory, the store is asked for the rest`;
  }

  /** Begins, or begins again with what is cold by then. */
  start(): void {
    this.#again = true;
    this.#running ??= this.#runAll().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when nothing is read any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #runAll(): Promise<void> {
    try {
      while (this.#again) {
        this.#again = false;
        await this.#run();
      }
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#options.log('error', 'BUG: warming failed; the store is asked for tiles', {
        error: errorText(error),
      });
    }
  }

  async #run(): Promise<void> {
    const { clock, head, window, log } = this.#options;
    const begun = clock.monotonic();
    const tiles = this.#within(head().storedTiles.cold(asTime(clock.now() - window)));
    if (tiles.length === 0) return;
    this.#doneBytes = 0;
    this.#ofBytes = tiles.reduce((sum, { meta }) => sum + meta.byteLength, 0);
    let told = begun;
    for (const batch of batches(tiles)) {
      for (const [ref, metas] of byJournal(batch)) await this.#warm(ref, metas);
      if (clock.monotonic() - told < PROGRESS_MS) continue;
      told = clock.monotonic();
      log('info', 'warming', { bytes: this.#doneBytes, ofBytes: this.#ofBytes });
    }
    log('info', 'recent tiles are in memory', {
      tiles: tiles.length,
      bytes: this.#doneBytes,
      seconds: Number(((clock.monotonic() - begun) / 1000).toFixed(2)),
    });
  }

  /** The newest, as many as may come into memory. */
  #within(tiles: readonly ColdTile[]): ColdTile[] {
    const kept: ColdTile[] = [];
    let bytes = this.#options.head().stats.tileBytes;
    for (const tile of tiles) {
      bytes += tile.meta.byteLength;
      if (bytes > this.#options.bytesMax) break;
      kept.push(tile);
    }
    return kept;
  }

  async #warm(ref: JournalRef, metas: readonly TileMeta[]): Promise<void> {
    const { head, clock } = this.#options;
    const { signal } = this.#stopping;
    const read = await this.#read(ref, metas);
    let since = clock.monotonic();
    for (let i = 0; i < metas.length; i++) {
      const meta = metas[i];
      const bytes = read[i];
      this.#doneBytes += meta.byteLength;
      if (bytes !== undefined) head().storedTiles.warm(ref, meta, bytes);
      if (clock.monotonic() - since < STEP_MS) continue;
      await new Promise((done) => setImmediate(done));
      signal.throwIfAborted();
      since = clock.monotonic();
    }
  }

  /** Tries until the store answers. */
  async #read(ref: JournalRef, metas: readonly TileMeta[]): Promise<Array<Uint8Array | undefined>> {
    const { signal } = this.#stopping;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await this.#options.store.readTiles(ref, metas);
      } catch (error) {
        if (!(error instanceof CanopyError) || error.code !== 'storage_unavailable') throw error;
        await sleep(this.#options.clock, asDuration(RETRY_MS), signal);
      }
    }
  }
}

function byJournal(tiles: readonly ColdTile[]): Map<JournalRef, TileMeta[]> {
  const found = new Map<JournalRef, TileMeta[]>();
  for (const { ref, meta } of tiles) {
    const metas = found.get(ref);
    if (metas === undefined) found.set(ref, [meta]);
    else metas.push(meta);
  }
  return found;
}

/** Runs of tiles of about so many bytes. */
function* batches(tiles: readonly ColdTile[]): Generator<ColdTile[]> {
  let batch: ColdTile[] = [];
  let bytes = 0;
  for (const tile of tiles) {
    if (bytes >= BATCH_BYTES) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(tile);
    bytes += tile.meta.byteLength;
  }
  if (batch.length > 0) yield batch;
}
