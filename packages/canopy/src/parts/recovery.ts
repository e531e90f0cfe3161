/**
 * After a start: what the store holds goes back into the head. Layouts first, then the extents
 * of stored tiles, the records of blocks, then the entries that are kept.
 */
import { BlockIndex } from '@canopy/encoding';
import {
  type BlockId,
  type BlockMeta,
  CanopyError,
  FormatError,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Store,
  blockName,
  comparePositions,
} from '@canopy/model';
import type { Head, LooseRecall } from '@canopy/head';
import type { Log } from '../log.js';

/** Read from the store at once. */
const READ = { maxBytes: 256 * 1024, maxEntries: 4096 };
/** Taken in before others get their turn: about 100,000 samples, 10 to 15 ms. */
const STEP_BYTES = 48 * 1024;
/** Layouts taken in at once: some thousand series, about 10 ms. */
const LAYOUT_BYTES = 64 * 1024;
const PROGRESS_MS = 2000;
/** Tiles of loose groups read at once. */
const RECALLED_AT_ONCE = 16;

export interface RecoveryOptions {
  readonly store: Store;
  readonly head: Head;
  readonly log: Log;
  readonly onProgress: (text: string) => void;
}

/** A journal that is written while it is recovered. */
export interface LiveJournal {
  readonly ref: JournalRef;
  /** Entries after this are wanted. */
  readonly from: JournalPosition;
  /** Newest entry that is synced; moves on. */
  position(): JournalPosition;
}

/** Restores all journals of the store. The event loop gets its turn between reads. */
export async function recoverHead(options: RecoveryOptions): Promise<void> {
  const { store, head, log, onProgress } = options;
  const begun = performance.now();
  const states = await store.journals();
  const bytesTotal = states.reduce((sum, state) => sum + state.entryBytes, 0);
  const progress = new Progress(bytesTotal, log, onProgress);
  let tiles = 0;
  for (const state of states) {
    tiles += await recoverJournal(store, head, state, (bytes) => progress.add(bytes));
  }
  sayDone(log, begun, { journals: states.length, tiles, journalBytes: progress.bytes });
}

/**
 * Restores the own journal while it goes on: what is committed meanwhile is read from the store as well.
 * `onLevel` is called, once, at a moment when the head has all that is synced.
 */
export async function recoverLive(
  options: RecoveryOptions,
  live: LiveJournal,
  onLevel: () => void,
): Promise<void> {
  const { store, head, log, onProgress } = options;
  const begun = performance.now();
  const state = await store.journal(live.ref);
  const progress = new Progress(state?.entryBytes ?? 0, log, onProgress);
  const add = (bytes: number): void => progress.add(bytes);
  if (state !== undefined) {
    await recoverJournal(store, head, state, add, live.from, () => live.position());
  }
  // Between the last look and this one there may have been a commit.
  while (comparePositions(head.position(live.ref) ?? live.from, live.position()) < 0) {
    const at = head.position(live.ref) ?? live.from;
    const before = live.position();
    await applyEntries(store, head, live.ref, at, () => live.position(), add);
    if (comparePositions(live.position(), before) === 0) break;
  }
  onLevel();
  sayDone(log, begun, { journalBytes: progress.bytes });
}

function sayDone(log: Log, begun: number, fields: Readonly<Record<string, number>>): void {
  const seconds = Number(((performance.now() - begun) / 1000).toFixed(2));
  log('info', 'recovered from the store', { ...fields, seconds });
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

/**
 * Takes in one journal that the head has nothing of. Returns the number of its tiles.
 *
 * A standby reads while another parent writes, and nothing but single reads is atomic. Tiles are missed only where they came
 * after they were listed or went before they were read: into a block, which then is another than before they were listed; or the
 * journal was cut behind them, beyond what is read of it after them. Either way it begins anew. (Retention takes tiles and
 * blocks away, too: they are gone.)
 */
export async function recoverJournal(
  store: Store,
  head: Head,
  state: JournalState,
  onBytes: (bytes: number) => void,
  from?: JournalPosition,
  until: () => JournalPosition = () => state.position,
): Promise<number> {
  const { ref } = state;
  const blocks = await store.blocks(ref);
  await restoreLayouts(head, ref, await store.readLayouts(ref));
  const metas = await store.tiles(ref);
  head.restoreTiles(ref, metas, state.trimmed);
  const { recall, missing } = await restoreBlocks(store, head, state, blocks);
  await recallLoose(store, ref, recall);
  if (!(await hasOthers(store, ref, blocks))) {
    if (missing !== undefined) {
      throw new CanopyError('storage_corrupt', `block ${missing} of journal ${ref} has no index`);
    }
    let after: JournalPosition = state.trimmed;
    if (from !== undefined && comparePositions(from, after) > 0) after = from;
    if (await applyEntries(store, head, ref, after, until, onBytes)) return metas.length;
  }
  head.dropJournal(ref);
  const now = await store.journal(ref);
  return now === undefined ? 0 : recoverJournal(store, head, now, onBytes);
}

/** Whether the store has blocks now that are not among `blocks`. */
async function hasOthers(
  store: Store,
  ref: JournalRef,
  blocks: readonly BlockMeta[],
): Promise<boolean> {
  const names = new Set(blocks.map(blockName));
  return (await store.blocks(ref)).some((block) => !names.has(blockName(block)));
}

/**
 * Records of all blocks; indexes only of those that hold frames the journal still has, and of recent ones: they say how
 * far each group was. `missing`: one whose index is needed and gone.
 */
async function restoreBlocks(
  store: Store,
  head: Head,
  { ref, trimmed }: JournalState,
  blocks: readonly BlockMeta[],
): Promise<{ readonly recall: LooseRecall; readonly missing: BlockId | undefined }> {
  head.blocks.restore(ref, blocks);
  let missing: BlockId | undefined;
  const recall = head.storedTiles.recall(ref);
  for (const block of blocks) {
    const isNeeded = comparePositions(block.last, trimmed) > 0;
    if (!isNeeded && !recall.isRecent(block)) continue;
    const bytes = await readIndex(store, ref, block);
    if (bytes === undefined && isNeeded) missing ??= block.id;
    const index = indexOf(bytes);
    if (index === undefined) continue;
    head.blocks.restoreSealed(ref, index);
    recall.addBlock(block, index);
  }
  return { recall, missing };
}

/** Undefined: it is gone. */
export async function readIndex(
  store: Store,
  ref: JournalRef,
  { id, tileBytes, indexBytes }: BlockMeta,
): Promise<Uint8Array | undefined> {
  const piece = { block: id, position: tileBytes, byteLength: indexBytes };
  const [bytes] = await store.readBlocks(ref, [piece]);
  return bytes;
}

/**
 * Undefined where it is gone or damaged: whoever selects from the block says so. Of a damaged one nothing can be read, so what the
 * journal still has of its frames is taken in again.
 */
export function indexOf(bytes: Uint8Array | undefined): BlockIndex | undefined {
  try {
    return bytes === undefined ? undefined : new BlockIndex(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}

/** What late samples of loose groups are judged by; nothing is read where there is no such group. */
async function recallLoose(store: Store, ref: JournalRef, recall: LooseRecall): Promise<void> {
  const tiles = recall.tiles();
  while (tiles.length > 0) {
    const batch = tiles.splice(0, RECALLED_AT_ONCE).filter((tile) => recall.isWanted(tile));
    const alone = batch.filter(({ block }) => block === undefined);
    const sealed = batch.filter(({ block }) => block !== undefined);
    const metas = alone.map(({ meta }) => meta);
    const pieces = sealed.map(({ meta, block, position }) => ({
      ...{ block: block!.id, position },
      byteLength: meta.byteLength,
    }));
    const read = [
      ...(metas.length > 0 ? await store.readTiles(ref, metas) : []),
      ...(pieces.length > 0 ? await store.readBlocks(ref, pieces) : []),
    ];
    for (const [i, tile] of [...alone, ...sealed].entries()) {
      const bytes = read[i];
      if (bytes !== undefined) recall.take(tile, bytes);
      await new Promise((done) => setImmediate(done));
    }
  }
}

/** In short steps: a million series take seconds. */
async function restoreLayouts(
  head: Head,
  ref: JournalRef,
  layouts: readonly JournalEntry[],
): Promise<void> {
  for (let from = 0; from < layouts.length; ) {
    let to = from;
    for (let bytes = 0; to < layouts.length && bytes < LAYOUT_BYTES; to++) {
      bytes += layouts[to].bytes.length;
    }
    head.restoreLayouts(ref, layouts.slice(from, to));
    from = to;
    await new Promise((done) => setImmediate(done));
  }
}

/** Lets others have the event loop in between and at the end. Returns the bytes. */
export async function applyInSteps(
  head: Head,
  ref: JournalRef,
  entries: readonly JournalEntry[],
): Promise<number> {
  let total = 0;
  for (let from = 0; from < entries.length; ) {
    let to = from;
    let bytes = 0;
    while (to < entries.length && bytes < STEP_BYTES) bytes += entries[to++].bytes.length;
    head.apply(ref, entries.slice(from, to));
    from = to;
    total += bytes;
    await new Promise((done) => setImmediate(done));
  }
  return total;
}

/**
 * Applies what comes after `after` until there is nothing more up to `until`, which may move on. False where the journal
 * was cut beyond what had been read.
 */
async function applyEntries(
  store: Store,
  head: Head,
  ref: JournalRef,
  after: JournalPosition,
  until: () => JournalPosition,
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  let next: Promise<JournalEntry[]> | undefined;
  for (let at = after, end = until(); comparePositions(at, end) < 0; end = until()) {
    const entries = await (next ?? store.readEntries(ref, at, READ));
    next = undefined;
    if (!isNext(at, entries[0]) && (await isCutAfter(store, ref, at))) return false;
    if (entries.length === 0) {
      if (comparePositions(until(), end) === 0) break;
      continue;
    }
    const { epoch, sequence } = entries[entries.length - 1];
    at = { epoch, sequence };
    if (comparePositions(at, end) < 0) {
      // On their way while these are taken in; a failure is met when they are awaited.
      next = store.readEntries(ref, at, READ);
      next.catch(() => {});
    }
    onBytes(await applyInSteps(head, ref, entries));
  }
  return true;
}

const isNext = ({ epoch, sequence }: JournalPosition, entry: JournalEntry | undefined): boolean =>
  entry?.epoch === epoch && entry.sequence === sequence + 1;

async function isCutAfter(store: Store, ref: JournalRef, at: JournalPosition): Promise<boolean> {
  const state = await store.journal(ref);
  return state !== undefined && comparePositions(at, state.trimmed) < 0;
}
