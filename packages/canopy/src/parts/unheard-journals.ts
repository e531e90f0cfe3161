/**
 * Journals of which the store has less than the head, while no source hands them over: nothing would ever put that right. A
 * store that lost such a journal whole (a wipe) is given back what the head holds; of one that has an older state the head
 * is built up anew. Either way the ledger names what nobody has any more.
 */
import { encodeEntry, encodeGap } from '@canopy/encoding';
import type { FramePuller } from '@canopy/federation';
import type { Head, HeldJournal } from '@canopy/head';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  EntryKind,
  type GapRecord,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Ledger,
  type Milliseconds,
  type Store,
  type StoredTile,
  addGap,
  asTime,
  comparePositions,
  copyLedger,
  errorText,
  parseLedger,
} from '@canopy/model';
import type { Log } from '../log.js';
import type { JournalLeases } from './journal-leases.js';

export interface UnheardJournalsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly head: () => Pick<Head, 'position' | 'storedTiles' | 'blocks'>;
  readonly leases: JournalLeases;
  /** Undefined while nothing is pulled. */
  readonly puller: () => Pick<FramePuller, 'ledgerOf' | 'nameGap' | 'storeWentBack'> | undefined;
  /** The own journal's writer finds out, and names it, by itself. */
  isOwn(ref: JournalRef): boolean;
  /** A source that is there has handed its journal over by then. */
  patience(): DurationMs;
  /** A source that has been away for so long is not waited for, either. */
  readonly lostAfter: DurationMs;
  readonly log: Log;
}

/** Of a journal, as of one moment. */
type Seen = Pick<JournalState, 'ref' | 'position' | 'ledger'>;

/** Bytes of tiles written in one call. */
const BATCH_BYTES = 4 * 1024 * 1024;

export class UnheardJournals {
  readonly #options: UnheardJournalsOptions;
  /** As the store had them when it had them. */
  readonly #seen = new Map<JournalRef, Seen>();
  /** Clock.monotonic() of when the store was first seen to have less. */
  readonly #since = new Map<JournalRef, number>();
  /** The store may have a part of what is given back: it looks as if nothing were missing. */
  readonly #begun = new Set<JournalRef>();
  readonly stats = { givenBack: 0, builtAnew: 0 };

  constructor(options: UnheardJournalsOptions) {
    this.#options = options;
  }

  /** The head has what the store has of a journal: what a standby follows it may have to give back once it leads. */
  level({ ref, position, ledger }: Seen): void {
    this.#seen.set(ref, { ref, position, ledger });
  }

  /** This process writes the store from now on: what it saw in an earlier term says nothing of how long it has waited. */
  begin(): void {
    this.#since.clear();
    this.#begun.clear();
  }

  /**
   * Of a journal that the store lost whole and this process is about to write itself: then no source gives it. Whether
   * there was anything.
   */
  async giveBackOwn(ref: JournalRef): Promise<boolean> {
    if (this.#positionOf(ref) === undefined) return false;
    await this.#giveBack(ref);
    return true;
  }

  /** To be called now and then by who writes the store. `states`: as last read of it. */
  async round(states: ReadonlyMap<JournalRef, JournalState>): Promise<void> {
    const refs = this.#options.head().storedTiles.refs();
    for (const ref of refs) {
      try {
        await this.#look(ref, states.get(ref));
      } catch (error) {
        const fields = { journal: ref, error: errorText(error) };
        this.#options.log('warn', 'a journal that the store lost is not given back yet', fields);
      }
    }
  }

  async #look(ref: JournalRef, state: JournalState | undefined): Promise<void> {
    const { clock, isOwn, patience, lostAfter, puller } = this.#options;
    const isBegun = this.#begun.has(ref);
    if (isOwn(ref) || (!isBegun && !this.#isLess(ref, state))) {
      this.#since.delete(ref);
      if (state !== undefined) this.#seen.set(ref, state);
      return;
    }
    const now = clock.monotonic();
    const since = this.#since.get(ref) ?? now;
    this.#since.set(ref, since);
    const isGone = state === undefined || isBegun;
    const pulling = puller();
    if (now - since < (isGone ? patience() : lostAfter) || pulling === undefined) return;
    if (isGone) await pulling.storeWentBack(ref, () => this.#giveBack(ref));
    else await this.#buildAnew(ref);
    this.#since.delete(ref);
    this.#seen.delete(ref);
  }

  /** The newest position that is known of. */
  #positionOf(ref: JournalRef): JournalPosition | undefined {
    return this.#options.head().position(ref) ?? this.#seen.get(ref)?.position;
  }

  #isLess(ref: JournalRef, state: JournalState | undefined): boolean {
    const known = this.#positionOf(ref);
    if (known === undefined) return false;
    return state === undefined || comparePositions(state.position, known) < 0;
  }

  #ledgerOf(ref: JournalRef): Ledger {
    const known = this.#options.puller()?.ledgerOf(ref);
    return known ?? parseLedger(this.#seen.get(ref)?.ledger ?? '');
  }

  /** What the store has not any more is named before the head forgets it: until a ledger has it the journal is not cut. */
  async #buildAnew(ref: JournalRef): Promise<void> {
    const { store, puller, log } = this.#options;
    const known = this.#ledgerOf(ref);
    await puller()!.storeWentBack(ref, async () => {
      const state = await store.journal(ref);
      if (state === undefined || !this.#isLess(ref, state)) return;
      const { watermark } = parseLedger(state.ledger);
      const to = Math.max(known.newest, known.watermark) + 1;
      puller()!.nameGap(ref, { ...lost(asTime(to)), from: asTime(Math.min(watermark, to - 1)) });
      this.stats.builtAnew++;
      log('error', 'the store lost the end of a journal that no source has: it is named', {
        ...{ journal: ref, from: watermark, to },
      });
    });
  }

  /**
   * In an order in which a kill at any point leaves no more in the store than its ledger says: the layouts with a gap over
   * everything, the tiles, the gap as it is; then it looks like a journal that was cut behind its tiles. Begun before,
   * it goes on.
   */
  async #giveBack(ref: JournalRef): Promise<void> {
    const { store, head, leases, log } = this.#options;
    const position = this.#positionOf(ref);
    const state = await store.journal(ref);
    if (position === undefined || !isOpen(state, position)) return void this.#begun.delete(ref);
    this.#begun.add(ref);
    const held = await head().storedTiles.held(ref);
    const known = this.#ledgerOf(ref);
    const blocks = head().blocks.list(ref);
    const lostUpTo = Math.max(held.lostUpTo, ...blocks.map(({ maxTime }) => maxTime));
    const newest = Math.max(known.newest, lostUpTo, ...held.tiles.map(({ meta }) => meta.maxTime));
    const isEmpty = held.tiles.length === 0;
    const lease = await leases.take(ref);
    const commit = async (expected: JournalPosition | null, upTo: number): Promise<void> => {
      const ledger = ledgerWithout(known, upTo);
      const entries = expected !== null ? [] : entriesOf(held, position, asTime(newest + 1));
      const rest = { lease, position, entries, cursor: '', ledger: JSON.stringify(ledger) };
      const { outcome } = await store.commit({ expected, ...rest });
      if (outcome === 'applied' || outcome === 'already_applied') return;
      throw new CanopyError('storage_unavailable', `journal ${ref} has changed meanwhile`);
    };
    if (state === undefined) await commit(null, newest);
    for (const batch of batches(held.tiles)) await store.putTiles(lease, batch);
    if (!isEmpty) {
      await commit(position, lostUpTo);
      await store.trimJournal(lease, position, held.tiles[held.tiles.length - 1].meta);
    }
    this.#begun.delete(ref);
    this.stats.givenBack++;
    log('warn', 'the store lost a journal that no source gives: it has again what was in memory', {
      ...{ journal: ref, groups: held.layouts.length, tiles: held.tiles.length, lostUpTo },
    });
  }
}

/** Whether nobody has put anything there since it was lost but, half, this. */
const isOpen = (state: JournalState | undefined, position: JournalPosition): boolean =>
  state === undefined || (state.cursor === '' && comparePositions(state.position, position) === 0);

/** Everything before `to`. */
const lost = (to: Milliseconds): GapRecord => ({
  ...{ group: 0, from: asTime(0), to, cause: 'trimmed', frames: -1 },
});

function ledgerWithout(known: Ledger, upTo: number): Ledger {
  const ledger = copyLedger(known);
  if (upTo > 0) addGap(ledger, lost(asTime(upTo + 1)));
  return ledger;
}

/**
 * Where there is no tile to cut behind, readers are told by an entry in the place of one that is gone: not of the newest, where
 * there is another, for readers show what they have there (0024).
 */
function entriesOf(
  { layouts, tiles }: HeldJournal,
  position: JournalPosition,
  to: Milliseconds,
): readonly JournalEntry[] {
  if (tiles.length > 0) return layouts;
  const fields = { kind: EntryKind.gap, group: 0, time: to, key: false };
  const { epoch, sequence } = position;
  const place = { epoch, sequence: Math.max(1, sequence - 1) };
  return [encodeEntry({ ...place, ...fields }, encodeGap(lost(to)))];
}

function* batches(tiles: readonly StoredTile[]): Generator<StoredTile[]> {
  let batch: StoredTile[] = [];
  let bytes = 0;
  for (const tile of tiles) {
    batch.push(tile);
    bytes += tile.bytes.length;
    if (bytes < BATCH_BYTES) continue;
    yield batch;
    [batch, bytes] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}
