/**
 * A standby's head, kept up with a store that another parent writes: entries are applied as they
 * come, in short steps. Tiles the head closes meanwhile are the other's to write; they are
 * ticked off when the store has them. Whoever leads has a head built anew here, too.
 */
import {
  type BlockMeta,
  CanopyError,
  type Clock,
  type DurationMs,
  JOURNAL_START,
  type JournalRef,
  type JournalState,
  type Store,
  type StoredTile,
  type TileMeta,
  type Timer,
  blockName,
  comparePositions,
  errorText,
} from '@canopy/model';
import type { Head } from '@canopy/head';
import type { Log } from '../log.js';
import { standing } from './fallen-store.js';
import { applyInSteps, indexOf, readIndex, recoverJournal } from './recovery.js';
import { lastOf, nameOf } from './tile-places.js';

export interface FollowerOptions {
  readonly store: Store;
  readonly head: () => Head;
  readonly clock: Clock;
  /** How far answers lag behind the store. */
  readonly every: DurationMs;
  /** The head has all that the store has of a journal in `state`. */
  onLevel(state: JournalState): void;
  /** A journal's head is about to be built anew: tiles it closed are nobody's any more. */
  onRebuild(ref: JournalRef): void;
  /** It has been: its tiles are with the store only. */
  onRebuilt(): void;
  readonly log: Log;
}

/** Read from the store at once. */
const READ = { maxBytes: 256 * 1024, maxEntries: 4096 };
const ONE = { maxBytes: 1, maxEntries: 1 };
/** Listing a journal's tiles is not cheap. */
const TILES_EVERY_MS = 60_000;
export class Follower {
  readonly #options: FollowerOptions;
  /** Closed here since this head followed, not known to be stored. */
  readonly #closed = new Map<JournalRef, StoredTile[]>();
  /** Journals whose tiles may not be those of the head. */
  readonly #followed = new Set<JournalRef>();
  /** All of them: blocks and tiles may have been lost while no entry was. */
  #hasWaited = false;
  /** By journal: the last of those who catch up with it. */
  readonly #turns = new Map<JournalRef, Promise<void>>();
  /** Journals that this follower has come across. */
  readonly #seen = new Set<JournalRef>();
  /** Journals of which the head has a part: what failed amid building it anew is begun again. */
  readonly #unbuilt = new Set<JournalRef>();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isActive = false;
  #tilesAt = 0;
  #failure = '';
  /** Clock.monotonic() of the last round that went well. */
  #lastRound = 0;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** What went wrong in the last round; '' where nothing did. */
  get failure(): string {
    return this.#failure;
  }

  /** Since the head was last known to be level with the store. Milliseconds. */
  get behindMs(): number {
    return this.#options.clock.monotonic() - this.#lastRound;
  }

  /** Takes a tile that the head closed. */
  add(ref: JournalRef, tile: StoredTile): void {
    const tiles = this.#closed.get(ref);
    if (tiles === undefined) this.#closed.set(ref, [tile]);
    else tiles.push(tile);
  }

  start(): void {
    if (this.#isActive) return;
    this.#isActive = true;
    this.#hasWaited = true;
    this.#lastRound = this.#options.clock.monotonic();
    this.#arm();
  }

  /** Resolves when nothing is applied any more. */
  async stop(): Promise<void> {
    this.#isActive = false;
    this.#timer?.cancel();
    await this.#running;
  }

  /** Brings the head to what the store has of every journal. */
  async catchUpAll(): Promise<void> {
    const states = await this.#options.store.journals();
    for (const state of states) await this.catchUp(state);
  }

  /** Brings the head to what the store has of one journal. One after the other, where several ask. */
  async catchUp(state: JournalState): Promise<void> {
    await this.#inTurn(state.ref, () => this.#catchUp(state));
    this.#options.onLevel(state);
  }

  /**
   * Takes what is left of one journal in the store for all there is: the head had more. `state`: as last read; undefined:
   * nothing is. Where it fails, `catchUp` begins it again.
   */
  rebuild(ref: JournalRef, state: JournalState | undefined): Promise<void> {
    return this.#inTurn(ref, () => this.#rebuild(ref, state));
  }

  async #inTurn(ref: JournalRef, task: () => Promise<void>): Promise<void> {
    const turn = (this.#turns.get(ref) ?? Promise.resolve()).then(task);
    const settled = turn.catch(() => undefined);
    this.#turns.set(ref, settled);
    try {
      await turn;
    } finally {
      if (this.#turns.get(ref) === settled) this.#turns.delete(ref);
    }
  }

  /**
   * While this parent writes the store: takes in what another has written that did not know yet that it leads no more, of
   * journals that are not `isOurs`, to write or to pull; nobody here would ever look at them again. `states`: as last read.
   */
  async catchUpOthers(
    states: Iterable<JournalState>,
    isOurs: (ref: JournalRef) => boolean,
  ): Promise<void> {
    const isAhead = ({ ref, position }: JournalState): boolean =>
      comparePositions(position, this.#options.head().position(ref) ?? JOURNAL_START) > 0 &&
      !isOurs(ref);
    for (const { ref } of [...states].filter(isAhead)) {
      const state = await this.#options.store.journal(ref);
      if (state !== undefined && isAhead(state)) await this.catchUp(state);
    }
  }

  async #catchUp(state: JournalState): Promise<void> {
    const { store } = this.#options;
    const head = this.#options.head();
    const { ref } = state;
    if (this.#unbuilt.has(ref) || this.#isStranger(state)) return this.#rebuild(ref, state);
    const begun = head.position(ref) ?? state.trimmed;
    const order = comparePositions(state.position, begun);
    if (order === 0 && comparePositions(begun, JOURNAL_START) > 0) return;
    this.#followed.add(ref);
    // Behind what the head has: restored, or wiped and begun anew. Behind the cut: entries are gone.
    if (order < 0 || comparePositions(begun, state.trimmed) < 0) return this.#rebuild(ref, state);
    for (let after = begun; comparePositions(after, state.position) < 0; ) {
      const entries = await store.readEntries(ref, after, READ);
      if (entries.length === 0) break;
      const isBreak = after === begun && entries[0].epoch !== begun.epoch;
      if (isBreak && (await this.#isBesides(state))) return this.#rebuild(ref, state);
      // No further: the ledger of `state` is to be that of what the head has, should the store lose both.
      const known = entries.filter((entry) => comparePositions(entry, state.position) <= 0);
      await applyInSteps(head, ref, known);
      const { epoch, sequence } = entries[entries.length - 1];
      after = { epoch, sequence };
    }
    const now = await store.journal(ref);
    if (now !== undefined && comparePositions(begun, now.trimmed) < 0)
      await this.#rebuild(ref, now);
  }

  /** A journal that was cut before this head saw anything of it: layouts are behind the cut, and tiles. */
  #isStranger({ ref, trimmed }: JournalState): boolean {
    const head = this.#options.head();
    const isFirst = !this.#seen.has(ref) && head.position(ref) === undefined;
    this.#seen.add(ref);
    if (!isFirst || comparePositions(trimmed, JOURNAL_START) <= 0) return false;
    // What was recovered at the start, tiles alone perhaps, is known.
    return head.groups(ref).length === 0 && head.blocks.list(ref).length === 0;
  }

  /**
   * Whether the head has what the store lost before a new epoch began: nothing is behind, and nobody sends that again, so
   * tiles and blocks that others make are without it.
   */
  async #isBesides({ ref, trimmed }: JournalState): Promise<boolean> {
    const newest = this.#options.head().position(ref);
    if (newest === undefined || comparePositions(newest, trimmed) <= 0) return false;
    const before = { epoch: newest.epoch, sequence: newest.sequence - 1 };
    const [entry] = await this.#options.store.readEntries(ref, before, ONE);
    return entry === undefined || comparePositions(entry, newest) !== 0;
  }

  /**
   * Compares the head's tiles with the store's, which nobody else writes any more or whose writer comes
   * to the same ones. What the store has is ticked off; where it has others, the head is built anew from it.
   */
  async compareTiles(state: JournalState): Promise<void> {
    const { ref } = state;
    const head = this.#options.head();
    const blocks = await this.#options.store.blocks(ref);
    const stored = await this.#options.store.tiles(ref);
    // First: a tile that is known to be stored and lies there no more is in a block by now.
    if (!(await this.#tickOff(state, stored, blocks))) return this.#rebuild(ref, state);
    const known = { tiles: head.blocks.looseTiles(ref), blocks: head.blocks.list(ref) };
    if (standing(known, { tiles: stored, blocks }, state.trimmed) === 'lost') {
      return this.#rebuild(ref, state);
    }
    head.blocks.compare(ref, blocks, stored);
    if (!stored.every((meta) => head.storedTiles.knows(ref, meta))) {
      return this.#rebuild(ref, state);
    }
  }

  /**
   * Ticks off tiles that the head closed and the store has or had: whoever wrote one again would have it there twice.
   * False: a block has others in their place.
   */
  async #tickOff(
    { ref, trimmed }: JournalState,
    stored: readonly TileMeta[],
    blocks: readonly BlockMeta[],
  ): Promise<boolean> {
    const names = new Set(stored.map(nameOf));
    // The journal is cut only behind what is stored.
    const isStored = ({ meta }: StoredTile): boolean =>
      names.has(nameOf(meta)) || comparePositions(lastOf(meta), trimmed) <= 0;
    const others = (this.#closed.get(ref) ?? []).filter((tile) => !isStored(tile));
    for (const tile of await this.#sealed(ref, others, blocks)) {
      const name = nameOf(tile);
      if (!others.some(({ meta }) => nameOf(meta) === name)) return false;
      names.add(name);
    }
    const left: StoredTile[] = [];
    for (const tile of this.#closed.get(ref) ?? []) {
      if (isStored(tile)) this.#options.head().tileStored(ref, tile.meta);
      else left.push(tile);
    }
    if (left.length === 0) this.#closed.delete(ref);
    else this.#closed.set(ref, left);
    return true;
  }

  /** Those of `blocks` that have frames of `tiles`: a reader that is away keeps the journal as it is, not what is at rest. */
  async #sealed(
    ref: JournalRef,
    tiles: readonly StoredTile[],
    blocks: readonly BlockMeta[],
  ): Promise<TileMeta[]> {
    const found: TileMeta[] = [];
    for (const block of blocks) {
      const near = tiles.filter(
        ({ meta }) => block.from <= meta.maxTime && meta.minTime < block.to,
      );
      if (near.length === 0) continue;
      const index = indexOf(await readIndex(this.#options.store, ref, block));
      for (let i = 0; i < (index?.groupCount ?? 0); i++) {
        const [epoch, group] = [index!.epoch(i), index!.group(i)];
        const own = near.filter(({ meta }) => meta.epoch === epoch && meta.group === group);
        for (const tile of own.length === 0 ? [] : index!.tiles(i)) {
          const isOver = ({ meta }: StoredTile): boolean =>
            tile.firstSequence <= meta.lastSequence && meta.firstSequence <= tile.lastSequence;
          if (own.some(isOver)) found.push({ ...tile, epoch, group });
        }
      }
    }
    return found;
  }

  /** Whether the head may have other tiles of a journal than the store. */
  hasFollowed(ref: JournalRef): boolean {
    return this.#hasWaited || this.#followed.has(ref);
  }

  /** Tiles that the store does not have: whoever writes them now. */
  *takeClosed(): Generator<readonly [JournalRef, StoredTile]> {
    for (const [ref, tiles] of this.#closed) for (const tile of tiles) yield [ref, tile];
    this.#closed.clear();
    this.#followed.clear();
    this.#hasWaited = false;
  }

  #arm(): void {
    const { clock, every } = this.#options;
    this.#timer = clock.after(every, () => {
      this.#running = this.#round().finally(() => {
        if (this.#isActive) this.#arm();
      });
    });
  }

  async #round(): Promise<void> {
    const { store, clock, log } = this.#options;
    try {
      const states = await store.journals();
      for (const state of states) {
        if (!this.#isActive) return;
        await this.catchUp(state);
        this.#forgetGroups(state);
      }
      if (clock.monotonic() - this.#tilesAt > TILES_EVERY_MS) {
        this.#tilesAt = clock.monotonic();
        for (const state of states) {
          if (!this.#isActive) break;
          const isOther = await this.#hasOtherBlocks(state.ref);
          if (isOther || this.#closed.has(state.ref)) await this.compareTiles(state);
        }
      }
      this.#lastRound = clock.monotonic();
      this.#failure = '';
    } catch (error) {
      if (!(error instanceof CanopyError)) {
        log('error', `BUG: following the store failed: ${errorText(error)}`, {
          stack: (error as Error)?.stack,
        });
      } else if (this.#failure === '') {
        log('warn', 'the store cannot be followed; tried again', { error: error.message });
      }
      this.#failure = errorText(error);
    }
  }

  /** Whether the store's writer has made blocks, or dropped some. */
  async #hasOtherBlocks(ref: JournalRef): Promise<boolean> {
    const { store, head } = this.#options;
    const known = new Set(head().blocks.list(ref).map(blockName));
    const blocks = await store.blocks(ref);
    return blocks.length !== known.size || !blocks.every((meta) => known.has(blockName(meta)));
  }

  /** Layouts the store's writer drops, or has dropped. */
  #forgetGroups({ ref, trimmed }: JournalState): void {
    const head = this.#options.head();
    const gone = head.groupsNotNeeded(ref, trimmed);
    if (gone.length > 0) head.layoutsDropped(ref, gone);
  }

  async #rebuild(ref: JournalRef, state: JournalState | undefined): Promise<void> {
    const { store, log } = this.#options;
    const head = this.#options.head();
    log('info', 'the head of a journal is built anew from the store', { journal: ref });
    this.#closed.delete(ref);
    this.#options.onRebuild(ref);
    head.dropJournal(ref);
    this.#unbuilt.add(ref);
    if (state !== undefined) {
      const now = (await store.journal(ref)) ?? state;
      await recoverJournal(store, head, now, () => {});
    }
    this.#unbuilt.delete(ref);
    this.#options.onRebuilt();
  }
}
