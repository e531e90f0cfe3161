/**
 * After a start: what the store holds goes back into the head. Layouts first, then the extents
 * of stored tiles, then the entries that are kept.
 */
import {
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Store,
  comparePositions,
} from '@canopy/model';
import type { Head } from '@canopy/head';
import type { Log } from '../log.js';

/** One step of the event loop takes in about this much. */
const READ = { maxBytes: 128 * 1024, maxEntries: 4096 };
const PROGRESS_MS = 2000;

export interface RecoveryOptions {
  readonly store: Store;
  readonly head: Head;
  readonly log: Log;
  readonly onProgress: (text: string) => void;
  /** Positions from which on entries are wanted; a journal that is not named: all that is kept. */
  readonly from: ReadonlyMap<JournalRef, JournalPosition>;
}

/** Restores all journals of the store. The event loop gets its turn between reads. */
export async function recoverHead(options: RecoveryOptions): Promise<void> {
  const { store, head, log, onProgress, from } = options;
  const begun = performance.now();
  const states = await store.journals();
  const bytesTotal = states.reduce((sum, state) => sum + state.entryBytes, 0);
  const progress = new Progress(bytesTotal, log, onProgress);
  let tiles = 0;
  for (const state of states) {
    const add = (bytes: number) => progress.add(bytes);
    tiles += await recoverJournal(store, head, state, add, from.get(state.ref));
  }
  log('info', 'recovered from the store', {
    journals: states.length,
    tiles,
    journalBytes: progress.bytes,
    seconds: Number(((performance.now() - begun) / 1000).toFixed(2)),
  });
}

/** Takes what is left of one journal in the store for all there is: its head had more. */
export async function recoverAgain(
  store: Store,
  head: Head,
  ref: JournalRef,
  state: JournalState | undefined,
  log: Log,
): Promise<void> {
  log('warn', 'the store lost what it had of a journal; it is pulled again', {
    journal: ref,
    left: state?.position,
  });
  head.dropJournal(ref);
  if (state === undefined) return;
  await recoverJournal(store, head, state, () => {});
}

class Progress {
  bytes = 0;
  readonly #total: number;
  readonly #log: Log;
  readonly #tell: (text: string) => void;
  #told = performance.now();

  constructor(total: number, log: Log, tell: (text: string) => void) {
    this.#total = total;
    this.#log = log;
    this.#tell = tell;
  }

  add(bytes: number): void {
    this.bytes += bytes;
    const now = performance.now();
    if (now - this.#told < PROGRESS_MS) return;
    this.#told = now;
    const percent = Math.min(99, Math.floor((100 * this.bytes) / Math.max(1, this.#total)));
    this.#tell(`recovering: ${percent} %`);
    this.#log('info', 'recovering', { percent, journalBytes: this.bytes, ofBytes: this.#total });
  }
}

/** Takes in one journal that the head has nothing of. Returns the number of its tiles. */
export async function recoverJournal(
  store: Store,
  head: Head,
  state: JournalState,
  onBytes: (bytes: number) => void,
  from?: JournalPosition,
): Promise<number> {
  const ref: JournalRef = state.ref;
  head.restoreLayouts(ref, await store.readLayouts(ref));
  const metas = await store.tiles(ref);
  head.restoreTiles(ref, metas);
  let after: JournalPosition = state.trimmed;
  if (from !== undefined && comparePositions(from, after) > 0) after = from;
  while (comparePositions(after, state.position) < 0) {
    const entries = await store.readEntries(ref, after, READ);
    if (entries.length === 0) break;
    head.apply(ref, entries);
    await new Promise((done) => setImmediate(done));
    const last = entries[entries.length - 1];
    after = { epoch: last.epoch, sequence: last.sequence };
    onBytes(entries.reduce((sum, entry) => sum + entry.bytes.length, 0));
  }
  return metas.length;
}
