/**
 * One journal on its way into the store and the appender. Whatever source it comes from: the
 * position is the journal's, not the source's.
 */
import {
  type ApplyTotals,
  COLLISIONS_MAX,
  CanopyError,
  type Collision,
  type CommitOutcome,
  type GapRecord,
  JOURNAL_START,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type JournalStatus,
  type Lease,
  type Ledger,
  type Milliseconds,
  PendingGaps,
  addCollision,
  addCount,
  asTime,
  balance,
  comparePositions,
  copyLedger,
  emptyLedger,
} from '@canopy/model';
import type { JournalSection } from '../page-types.js';
import { addApplied, countInto, countRefused } from './entry-counts.js';
import { GroupJobs } from './group-jobs.js';
import { type Known, isGivenBack, knownFrom } from './known.js';
import type { FramePullerOptions } from './options.js';
import type { PullTotals } from './totals.js';
import { type Forgery, type SourceTrust, withoutForged } from './trust.js';

/** Entries applied before others get their turn. Bytes. */
const APPLY_BYTES = 64 * 1024;
/** Of one page. */
const FORGERIES_LOGGED_MAX = 10;
const STORED_CHUNK = { maxBytes: 256 * 1024, maxEntries: 2048 };

/** The source began anew though it was shown a cursor: its pages are of what is stored, for a while. */
interface Detour {
  /** The stored cursor that it could not read; with another one the detour is over. */
  readonly instead: string;
  readonly cursor: string;
  readonly position: JournalPosition;
}

export interface Taken {
  readonly samples: number;
  /** Ask again at once. */
  readonly more: boolean;
}

export class JournalIntake {
  readonly ref: JournalRef;
  readonly #options: FramePullerOptions;
  readonly #totals: PullTotals;
  /** What the store has; null: nothing; undefined: not asked yet. */
  #known: Known | null | undefined;
  /** A commit had no answer: the store may have more than is known. */
  #isUnsure = false;
  /** The store has lost something of another journal. */
  #isDoubted = false;
  #lease: Lease | undefined;
  #isReleased = false;
  #detour: Detour | undefined;
  #watermark = 0;
  /** The ledger of the last commit, as it was sent. */
  #sent = '';
  /** Applied since the last commit: not in the stored ledger yet. */
  #samples = 0;
  #refused: Record<string, number> = {};
  readonly #gaps = new PendingGaps();
  #collisions: Collision[] = [];
  readonly #jobs: GroupJobs;
  /** Two sources may hand over the same journal at once. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(ref: JournalRef, options: FramePullerOptions, totals: PullTotals) {
    this.ref = ref;
    this.#options = options;
    this.#totals = totals;
    this.#jobs = new GroupJobs((epoch, group) => options.groupOf(ref, epoch, group));
  }

  /** Cursor to send, '' for none. */
  cursor(): Promise<string> {
    return this.#inTurn(async () => {
      const known = await this.#load();
      if (!this.#isDoubted) return this.#detourFrom(known)?.cursor ?? known?.cursor ?? '';
      // From what is there. What the appender has stays until a page comes: its source may be gone for ever.
      return (await this.#options.store.journal(this.ref))?.cursor ?? '';
    });
  }

  /** Stores and applies a section, without what `labels` forbid. Safe to repeat. */
  take(section: JournalSection, labels: SourceTrust['labels']): Promise<Taken> {
    return this.#inTurn(() => this.#take(section, labels));
  }

  /** Takes nothing any more and gives the lease back. */
  release(): Promise<void> {
    return this.#inTurn(async () => {
      const lease = this.#lease;
      this.#lease = undefined;
      this.#isReleased = true;
      if (lease !== undefined) await this.#options.store.releaseLease(lease);
    });
  }

  /**
   * The store lost something of the journal that no commit can notice: all is as after a commit that did. `mend` is awaited
   * before the store is looked at.
   */
  storeWentBack(mend?: () => Promise<void>): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isReleased) return;
      await mend?.();
      const state = await this.#options.store.journal(this.ref);
      const before = this.#known?.position;
      const isSame = before !== undefined && state !== undefined;
      // Counted already, where the last commit is still there.
      const isCounted = isSame && mend === undefined;
      if (!isCounted || comparePositions(before, state.position) !== 0) this.#forgetPending();
      await this.#wentBackTo(state);
    });
  }

  /**
   * The store may have gone back: where nothing new comes no commit asks. So the next pull asks from where the store is, and
   * its page is taken after another look.
   */
  doubt(): void {
    this.#isDoubted = true;
  }

  /** While the appender is built up anew nothing is complete, or known: where that fails, it is loaded by who asks next. */
  async #wentBackTo(state: JournalState | undefined): Promise<void> {
    this.#known = undefined;
    this.#watermark = 0;
    await this.#options.onStoreWentBack(this.ref, state);
    this.#known = state === undefined ? null : knownFrom(state);
    this.#watermark = this.#known?.ledger.watermark ?? 0;
  }

  /** Names what the store turned out to have lost; with the next commit, unless the ledger names it. */
  nameGap(gap: GapRecord): void {
    this.#gaps.add(gap);
  }

  /** Some wait for the next commit: no stored ledger names them. */
  get hasUntoldGaps(): boolean {
    return !this.#gaps.isEmpty;
  }

  get untoldGaps(): readonly GapRecord[] {
    return this.#gaps.gaps;
  }

  /**
   * Does what no page has brought about, for the source may never come back: has the appender built up where that failed,
   * stores the ledger with gaps that were named.
   * @throws CanopyError of the store; `unavailable` where another process writes the journal.
   */
  settle(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isReleased) return;
      if (this.#known === undefined) await this.#load();
      if (this.#gaps.isEmpty) return;
      const known = await this.#load();
      if (known !== null) await this.#write(known, known, [], this.#nextLedger(known.ledger));
    });
  }

  /** With the next commit. */
  nameCollision(collision: Collision): void {
    if (this.#collisions.length < COLLISIONS_MAX) this.#collisions.push(collision);
  }

  get watermark(): number {
    return this.#watermark;
  }

  get position(): JournalPosition | undefined {
    return this.#known?.position;
  }

  /** Undefined where nothing is stored yet. `lagSeconds` is -1 before the first watermark. */
  status(now: Milliseconds): JournalStatus | undefined {
    const known = this.#known;
    if (known === undefined || known === null) return undefined;
    const ledger = this.#shownLedger(known.ledger);
    const lagSeconds = this.#watermark === 0 ? -1 : Math.max(0, now - this.#watermark) / 1000;
    const { position, trimmed, entryBytes } = known;
    return { ref: this.ref, position, trimmed, ledger, lagSeconds, entryBytes };
  }

  /** How long a source that keeps its entries for `keptFor` ms goes on to hold what we do not have yet. Milliseconds; -1 unknown. */
  mayBeAwayMs(now: Milliseconds, keptFor: number): number {
    if (keptFor < 0 || this.#watermark === 0) return keptFor;
    return Math.max(0, keptFor - Math.max(0, now - this.#watermark));
  }

  async #take(section: JournalSection, labels: SourceTrust['labels']): Promise<Taken> {
    if (this.#isReleased) throw new CanopyError('unavailable', 'nothing is pulled any more');
    if (this.#isDoubted && this.#known !== undefined) await this.#makeSure(this.#known);
    let known = await this.#load();
    const isAnew = isGivenBack(known);
    const stored = (isAnew ? undefined : known?.position) ?? JOURNAL_START;
    if (comparePositions(section.from, stored) > 0) {
      // Asked with a cursor the store does not have any more: storing this would leave a hole.
      this.#totals.ahead++;
      this.#known = undefined;
      return { samples: 0, more: false };
    }
    if (isAnew && comparePositions(section.position, JOURNAL_START) > 0)
      known = await this.#dropGivenBack();
    if (section.epochBreak) this.#noteEpochBreak();
    let samples = 0;
    if (comparePositions(section.position, stored) > 0) {
      const entries = section.entries.filter((entry) => comparePositions(entry, stored) > 0);
      this.#totals.repeated += section.entries.length - entries.length;
      const applied = await this.#store(section, known, entries, labels);
      if (applied === null) return { samples: 0, more: true };
      samples = applied.samples;
    } else {
      this.#totals.repeated += section.entries.length;
      if (known !== null) this.#noteDetour(section, known);
      // The next commit stores it; it holds for this position, at which nothing is counted meanwhile.
      const isSame = comparePositions(section.position, stored) === 0;
      if (isSame && known !== null) balance(known.ledger, section.trail);
    }
    this.#moveWatermark(section.watermark);
    return { samples, more: section.more };
  }

  #detourFrom(known: Known | null): Detour | undefined {
    return this.#detour?.instead === known?.cursor ? this.#detour : undefined;
  }

  /** Goes on from where the pages are: asked with the stored cursor again the source would begin anew for ever. */
  #noteDetour({ from, position, cursor, begunAnew }: JournalSection, known: Known): void {
    const before = this.#detourFrom(known);
    if (before === undefined && begunAnew !== true) return;
    if (comparePositions(from, before?.position ?? JOURNAL_START) !== 0) return;
    this.#detour = { instead: known.cursor, cursor, position };
    if (before !== undefined) return;
    this.#totals.begunAnew++;
    this.#options.log('warn', 'the source begins anew: it cannot read the cursor that it gave', {
      journal: this.ref,
    });
  }

  /** Null where the store turned out to be somewhere else: nothing of the section was taken. */
  async #store(
    section: JournalSection,
    known: Known | null,
    sent: readonly JournalEntry[],
    labels: SourceTrust['labels'],
  ): Promise<ApplyTotals | null> {
    const ledger = this.#nextLedger(known?.ledger ?? emptyLedger());
    this.#jobs.learn(sent);
    const { kept: entries, refused, found } = withoutForged(sent, labels, ledger, this.#jobs);
    countRefused(ledger, refused);
    countInto(ledger, entries, this.#jobs);
    ledger.watermark = Math.max(ledger.watermark, section.watermark);
    balance(ledger, section.trail);
    if (!(await this.#write(known, section, entries, ledger))) return null;
    this.#noteForged(found);
    return this.#apply(entries);
  }

  /** One commit. False where the store turned out to be somewhere else: then nothing was written. */
  async #write(
    known: Known | null,
    next: Pick<Known, 'position' | 'cursor'>,
    entries: readonly JournalEntry[],
    ledger: Ledger,
  ): Promise<boolean> {
    this.#isUnsure = true;
    this.#sent = JSON.stringify(ledger);
    const outcome = await this.#commit(next, known, entries, this.#sent);
    this.#isUnsure = false;
    if (outcome.outcome === 'behind') {
      this.#totals.behind++;
      await this.#goOnFrom(outcome.state, known?.position ?? JOURNAL_START);
      return false;
    }
    if (outcome.outcome === 'absent') {
      await this.#beginAnew();
      return false;
    }
    if (outcome.outcome === 'fenced') {
      this.#known = undefined;
      throw new CanopyError('unavailable', `journal ${this.ref} is written by another process`);
    }
    let entryBytes = known?.entryBytes ?? 0;
    for (const entry of entries) entryBytes += entry.bytes.length;
    this.#known = {
      position: next.position,
      trimmed: known?.trimmed ?? JOURNAL_START,
      cursor: next.cursor,
      ledger,
      entryBytes,
    };
    this.#forgetPending();
    this.#gaps.forget(ledger);
    this.#collisions = [];
    return true;
  }

  /** One atomic write; takes the lease again where it was lost with the store, once. */
  async #commit(
    { position, cursor }: Pick<Known, 'position' | 'cursor'>,
    known: Known | null,
    entries: readonly JournalEntry[],
    ledger: string,
  ): Promise<CommitOutcome> {
    const expected = known?.position ?? null;
    for (let attempt = 0; ; attempt++) {
      const lease = await this.#leased();
      const outcome = await this.#options.store.commit({
        lease,
        expected,
        position,
        entries,
        cursor,
        ledger,
      });
      if (outcome.outcome !== 'fenced') return outcome;
      this.#totals.fenced++;
      this.#lease = undefined;
      if (attempt > 0) return outcome;
    }
  }

  async #leased(): Promise<Lease> {
    const { store, owner, leaseTtl } = this.#options;
    // Commits renew it; one that somebody else has taken is fenced.
    if (this.#lease !== undefined) return this.#lease;
    const outcome = await store.acquireLease(this.ref, owner, leaseTtl);
    if (!outcome.granted) {
      this.#lease = undefined;
      throw new CanopyError('unavailable', `journal ${this.ref} is pulled by ${outcome.heldBy}`);
    }
    this.#lease = outcome.lease;
    return outcome.lease;
  }

  /** In steps, so that a large page does not hold the event loop. */
  async #apply(entries: readonly JournalEntry[]): Promise<ApplyTotals> {
    const sum: ApplyTotals = { frames: 0, samples: 0, repeated: 0, undecodable: 0, refused: {} };
    for (let from = 0; from < entries.length; ) {
      let to = from;
      for (let bytes = 0; to < entries.length && bytes < APPLY_BYTES; to++) {
        bytes += entries[to].bytes.length;
      }
      addApplied(sum, this.#options.appender.apply(this.ref, entries.slice(from, to)));
      from = to;
      if (from < entries.length) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#totals.entries += entries.length;
    this.#totals.frames += sum.frames;
    this.#totals.samples += sum.samples;
    this.#samples += sum.samples;
    if (sum.undecodable > 0) addCount(this.#refused, 'undecodable', sum.undecodable);
    for (const [reason, count] of Object.entries(sum.refused)) {
      addCount(this.#refused, reason, count);
    }
    return sum;
  }

  /**
   * The store is elsewhere: takes its word, and shows the appender what it has that we did not
   * write.
   */
  async #goOnFrom(state: JournalState, before: JournalPosition): Promise<void> {
    // What was applied before is in the stored ledger, or was not written at all.
    this.#forgetPending();
    if (comparePositions(state.position, before) < 0) return this.#wentBackTo(state);
    // As above: a part of it is nothing to go on from.
    this.#known = undefined;
    for (let after = before; comparePositions(after, state.position) < 0; ) {
      const entries = await this.#options.store.readEntries(this.ref, after, STORED_CHUNK);
      if (entries.length === 0) break;
      await this.#apply(entries);
      after = entries[entries.length - 1];
    }
    // Another parent's ledger counts it already, all but the last page.
    if (state.ledger !== this.#sent) this.#forgetPending();
    this.#known = knownFrom(state);
  }

  async #load(): Promise<Known | null> {
    if (this.#isUnsure && this.#known !== undefined) await this.#makeSure(this.#known);
    if (this.#known !== undefined) return this.#known;
    const state = await this.#options.store.journal(this.ref);
    this.#watermark = 0;
    await this.#options.onLoaded(this.ref, state);
    this.#known = state === undefined ? null : knownFrom(state);
    // Not what was true before: the store may have less now.
    this.#watermark = this.#known?.ledger.watermark ?? 0;
    return this.#known;
  }

  /** Its source may have nothing new for ever: no next commit shows what was stored, or lost, then. */
  async #makeSure(known: Known | null): Promise<void> {
    this.#isDoubted = false;
    const state = await this.#options.store.journal(this.ref).catch((error: unknown) => {
      this.#isDoubted = true;
      throw error;
    });
    const before = known?.position ?? JOURNAL_START;
    if (state === undefined) {
      if (known !== null) await this.#beginAnew();
    } else if (comparePositions(state.position, before) !== 0) {
      this.#totals.behind++;
      await this.#goOnFrom(state, before);
    }
    this.#isUnsure = false;
  }

  /** The store has nothing of the journal any more. */
  async #beginAnew(): Promise<void> {
    this.#totals.absent++;
    this.#forgetPending();
    await this.#wentBackTo(undefined);
  }

  /** Its source is here again, and says what it has no more: frames of the same numbers are not to be there twice. */
  async #dropGivenBack(): Promise<null> {
    // Others of this process have taken it meanwhile, of a store that knew of none before.
    this.#lease = undefined;
    await this.#options.store.dropJournal(await this.#leased());
    this.#lease = undefined;
    await this.#beginAnew();
    return null;
  }

  #moveWatermark(watermark: number): void {
    if (watermark <= this.#watermark) return;
    this.#watermark = watermark;
    this.#options.onWatermark(this.ref, asTime(watermark));
  }

  #noteForged(found: readonly Forgery[]): void {
    this.#totals.forgedGroups += found.length;
    for (const forgery of found.slice(0, FORGERIES_LOGGED_MAX)) {
      this.#options.log('warn', 'a group is refused: its source may not write this label', {
        journal: this.ref,
        ...forgery,
      });
    }
  }

  #noteEpochBreak(): void {
    this.#totals.epochBreaks++;
    this.#options.log('warn', 'the source had lost what we have of it: it begins a new epoch', {
      journal: this.ref,
    });
  }

  /** As `#nextLedger`; shares what it can with `ledger`, and is only to be read. */
  #shownLedger(ledger: Ledger): Ledger {
    if (!this.#gaps.isEmpty || this.#collisions.length > 0) return this.#nextLedger(ledger);
    const refused = { ...ledger.refused };
    for (const [reason, count] of Object.entries(this.#refused)) addCount(refused, reason, count);
    const watermark = Math.max(ledger.watermark, this.#watermark);
    return { ...ledger, samples: ledger.samples + this.#samples, refused, watermark };
  }

  /** A ledger with what was applied since `ledger` was stored. */
  #nextLedger(ledger: Ledger): Ledger {
    const next = copyLedger(ledger);
    next.samples += this.#samples;
    for (const [reason, count] of Object.entries(this.#refused)) {
      addCount(next.refused, reason, count);
    }
    this.#gaps.nameIn(next);
    for (const collision of this.#collisions) addCollision(next, collision);
    next.watermark = Math.max(next.watermark, this.#watermark);
    return next;
  }

  #forgetPending(): void {
    this.#samples = 0;
    this.#refused = {};
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task, task);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
