import {
  CanopyError,
  type Collision,
  type CommitOutcome,
  type Epoch,
  type GapRecord,
  type GroupId,
  type GroupMeta,
  type GroupWriter,
  type Journal,
  type JournalId,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Lease,
  type Ledger,
  type Milliseconds,
  PendingGaps,
  type Timer,
  asTime,
  errorText,
  journalRef,
  parseLedger,
} from '@canopy/model';
import type { StoreHealth } from '../health.js';
import { type Batch, commitOf, makeBatch } from './batch.js';
import type { ExpectedScrapes } from './expected-scrapes.js';
import {
  GroupColumns,
  type GroupHost,
  type Predecessor,
  gapRecord,
  targetKey,
} from './group-columns.js';
import { CommitHealth } from './commit-health.js';
import { HeldLease } from './held-lease.js';
import type { JournalIndex } from './journal-index.js';
import {
  gapSinceBefore,
  lostOf,
  predecessorsOf,
  rememberClosed,
  type Place,
  beginning,
  saveCheckpoint,
  saveEnd,
  takePlace,
} from './journal-place.js';
import { Numbering } from './numbering.js';
import { type JournalWriterOptions, type JournalWriterStats, emptyStats } from './options.js';
import { type QueuedRecord, RecordQueue } from './record-queue.js';
import { SyncWaiters } from './sync-waiters.js';
import { Tally } from './tally.js';

const CHECKPOINT_EVERY_MS = 60_000;
/** What is read from the journal is no older than this part of the commit interval. */
const FRESH_PART = 4;
/** Over the limit the queue is cut down to this part of it, so that it is not cut for every frame. */
const QUEUE_KEPT = 0.9;

/** Port Journal over any Store. */
export class JournalWriter implements Journal {
  readonly id: JournalId;
  readonly ref: JournalRef;
  readonly index: JournalIndex;
  /** Secret, as old as the journal: what signs its cursors. */
  readonly cursorKey: Uint8Array;
  readonly #options: JournalWriterOptions;
  readonly #queue = new RecordQueue();
  readonly #host: GroupHost;
  readonly #open = new Set<GroupColumns>();
  readonly #predecessors: Map<string, Predecessor>;
  readonly #stats: JournalWriterStats = emptyStats();
  readonly #commits: CommitHealth;
  readonly #lease: HeldLease;
  readonly #numbers: Numbering;
  /** Stored position; null before the first commit. */
  #stored: JournalPosition | null;
  #nextGroup: GroupId;
  readonly #expected: ExpectedScrapes;
  #ledger: Ledger;
  /** Not in `#ledger` or a commit yet. */
  #tally = new Tally();
  /** No stored ledger names them yet. */
  readonly untoldGaps = new PendingGaps();
  #batch: Batch | undefined;
  #running: Promise<boolean> | undefined;
  #timer: Timer | undefined;
  #keyFrameRequests = 0;
  #checkpointAt: number;
  /** When the newest commit went through. */
  #committedAt = Number.NEGATIVE_INFINITY;
  /** Records handed in since the start. */
  #enqueued = 0;
  readonly #waiters = new SyncWaiters();
  #closed: Promise<void> | undefined;

  private constructor(options: JournalWriterOptions, { found, lease, recovered }: Place) {
    const { identity, isKeyNew } = found;
    const { state, index, clean, expected } = recovered;
    this.#options = options;
    this.#commits = new CommitHealth(options.log);
    this.id = identity.id;
    this.ref = journalRef(identity.id);
    this.cursorKey = Buffer.from(identity.key, 'hex');
    this.index = index;
    this.#lease = new HeldLease(options, this.ref, lease);
    this.#checkpointAt = options.clock.monotonic();
    this.#stored = state?.position ?? null;
    this.#numbers = new Numbering(options, beginning(state, isKeyNew, this.ref, options));
    this.#nextGroup = index.nextGroup;
    this.#ledger = parseLedger(state?.ledger ?? '');
    this.#host = this.#makeHost();
    this.#expected = expected;
    const gap = gapSinceBefore(recovered, this.#ledger, options);
    this.#predecessors = predecessorsOf(index, clean, this.#ledger, gap?.entry.time);
    if (gap !== undefined) this.#enqueue(gap);
  }

  /**
   * Takes the lease and reads where the journal ended.
   * @throws CanopyError of the store; `storage_locked` while another process writes the journal.
   */
  static async open(options: JournalWriterOptions): Promise<JournalWriter> {
    const place = await takePlace(options);
    const ref = journalRef(place.found.identity.id);
    const isChanged = await options.onFound?.(ref, place.recovered.state);
    return new JournalWriter(options, isChanged === true ? await takePlace(options) : place);
  }

  get stats(): Readonly<JournalWriterStats> {
    this.#stats.commitFailures = this.#commits.failures;
    this.#stats.queueBytes = this.#queue.bytes + (this.#batch?.bytes ?? 0);
    return this.#stats;
  }

  get health(): StoreHealth {
    return this.#commits.health(this.#waitingRecords());
  }

  /** Newest synced. */
  get position(): JournalPosition {
    return this.#stored ?? { epoch: this.#numbers.epoch, sequence: 0 };
  }

  /** As of `position`, with what was refused since. */
  get ledger(): Readonly<Ledger> {
    return this.#tally.isEmpty ? this.#ledger : this.#tally.shownIn(this.#ledger);
  }

  /** Held until `close`; for trimming and tiles of this journal. */
  get lease(): Lease {
    return this.#lease.lease;
  }

  /** Complete and synced up to this time. */
  get watermark(): Milliseconds {
    const idle = this.#queue.length === 0 && this.#batch === undefined;
    const now = idle ? this.#options.completeUpTo() : 0;
    return asTime(Math.max(this.#ledger.watermark, now));
  }

  /** Numbers of groups that are written; their layouts are needed whatever was trimmed. */
  get openGroups(): ReadonlySet<GroupId> {
    return new Set([...this.#open].map(({ group }) => group));
  }

  openGroup(meta: Omit<GroupMeta, 'continues'>): GroupWriter {
    const key = targetKey(meta);
    const writer = new GroupColumns(this.#host, meta, this.#predecessors.get(key));
    this.#predecessors.delete(key);
    this.#open.add(writer);
    return writer;
  }

  countRefused(job: string, reason: string, count: number): void {
    this.#tally.refuse(job, reason, count);
  }

  countLeftOut(reason: string, count: number): void {
    this.#tally.leaveOut(reason, count);
  }

  countMissed(job: string, count: number): void {
    this.#tally.miss(job, count);
  }

  /** Counts series that a target gives beside another, in the ledger of the next commit. */
  nameCollision(collision: Collision): void {
    this.#tally.collide(collision);
  }

  /** Names what the store turned out to have lost, in the ledger of the next commit. */
  nameGap(gap: GapRecord): void {
    this.untoldGaps.add(gap);
    this.untoldGaps.nameIn(this.#ledger);
  }

  expectScrapes(time: Milliseconds): Promise<void> {
    return this.#expected.tell(time);
  }

  flush(): Promise<void> {
    const target = this.#enqueued;
    if (this.#waitingRecords() === 0 || this.#closed !== undefined) return Promise.resolve();
    const synced = this.#waiters.wait(target);
    if (this.#commits.failure === '') this.#start();
    return synced;
  }

  /**
   * One try of a commit for somebody who is about to read the journal: resolves once it is over, also where the
   * store did not take it. Nothing is done where that has just been done, or where the store is being waited for.
   */
  async commitForReader(): Promise<void> {
    const { clock, commitInterval } = this.#options;
    const isFresh = clock.monotonic() - this.#committedAt < commitInterval / FRESH_PART;
    if (isFresh || this.#commits.failure !== '' || this.#closed !== undefined) return;
    if (this.#queue.length > 0) this.#start();
    await this.#running;
  }

  /** The store was seen with less than it took: where nothing is to be committed, no commit would find out. */
  async doubt(): Promise<void> {
    const isBusy = this.#running !== undefined || this.#waitingRecords() > 0;
    if (isBusy || this.#stored === null || this.#closed !== undefined) return;
    const look = lostOf(this.#options.store, this.ref, this.#stored);
    const found = look.then((lost) => lost === undefined || this.#storeWentBack(lost.left));
    this.#hold(found.catch((error: unknown) => this.#commits.failed(error)));
    await this.#running;
  }

  /**
   * Starts a new epoch above `above` and the own one with the next commit: a reader came that has
   * seen more of this journal than there is. Frames not yet committed are dropped and named.
   */
  breakEpoch(above: JournalPosition): void {
    if (this.#numbers.askForBreak(above) && this.#batch === undefined) this.#applyBreak();
  }

  /** The next frame of every group is a key frame: so retention finds a place to cut. */
  requestKeyFrames(): void {
    this.#keyFrameRequests++;
  }

  /**
   * Flushes (one try where the store does not answer), marks the end as clean, releases the lease. `isLost`:
   * another process writes the journal now, so nothing is written; it names what was not synced.
   */
  close(isLost = false): Promise<void> {
    this.#closed ??= this.#close(isLost);
    return this.#closed;
  }

  async #close(isLost: boolean): Promise<void> {
    const { store, log } = this.#options;
    this.#timer?.cancel();
    if (isLost) this.#queue.dropAll();
    await this.#running;
    while (!isLost && (this.#batch !== undefined || this.#queue.length > 0)) {
      if (!(await this.#commitOnce())) break;
    }
    const left = this.#waitingRecords();
    try {
      if (!isLost && left === 0) {
        await saveEnd(store, this.ref, this.index, this.#stored);
      }
      if (!isLost) await store.releaseLease(this.lease);
    } catch (error) {
      log('warn', `the journal could not be closed cleanly: ${errorText(error)}`);
    }
    if (left > 0) log('error', 'the store did not take the last records', { records: left });
    this.#waiters.settle(this.#enqueued);
  }

  #makeHost(): GroupHost {
    return {
      keyFrameEvery: this.#options.keyFrameEvery,
      epoch: () => this.#numbers.epoch,
      keyFrameRequests: () => this.#keyFrameRequests,
      now: () => this.#options.clock.now(),
      newGroup: () => this.#nextGroup++,
      enqueue: (record) => this.#enqueue(record),
      refuseByClock: (job, isScrape) => {
        this.#stats.framesRefusedByClock++;
        if (isScrape) this.#tally.refuse(job, 'clock_back', 1);
      },
      closed: (group) => this.#groupClosed(group),
    };
  }

  #groupClosed(writer: GroupColumns): void {
    this.#open.delete(writer);
    rememberClosed(this.#predecessors, writer);
  }

  #enqueue(record: QueuedRecord): void {
    if (this.#closed !== undefined) return;
    this.#enqueued++;
    this.#queue.push(record);
    const { queueBytesMax, commitBytes, commitInterval, clock } = this.#options;
    if (this.#queue.bytes > queueBytesMax) {
      const excess = this.#queue.bytes - queueBytesMax * QUEUE_KEPT;
      this.#countDropped(this.#queue.dropOldest(excess), 'queue_full');
    }
    if (this.#commits.failure !== '' || this.#running !== undefined) return;
    if (this.#queue.bytes >= commitBytes) this.#start();
    else this.#timer ??= clock.after(commitInterval, () => this.#start());
  }

  #countDropped(frames: readonly QueuedRecord[], reason: string): void {
    this.#stats.framesDropped += frames.length;
    this.#tally.drop(frames, reason);
    this.#settle();
  }

  /** Commits until the queue is empty enough to wait for the timer. */
  #start(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#running === undefined) this.#hold(this.#run());
  }

  /** Nothing is committed while `task` runs, which must not reject. */
  #hold(task: Promise<boolean>): void {
    this.#running = task.finally(() => {
      this.#running = undefined;
      this.#armTimer();
    });
  }

  async #run(): Promise<boolean> {
    for (;;) {
      if (!(await this.#commitOnce())) return false;
      if (this.#batch !== undefined) continue;
      const waited = !this.#waiters.isEmpty;
      if (this.#queue.length === 0) return true;
      if (!waited && this.#queue.bytes < this.#options.commitBytes) return true;
    }
  }

  #armTimer(): void {
    if (this.#closed !== undefined || this.#timer !== undefined) return;
    const { clock, commitInterval } = this.#options;
    if (this.#commits.failure !== '') {
      this.#timer = clock.after(this.#commits.nextDelay(), () => this.#start());
    } else if (!this.#waiters.isEmpty) {
      this.#start();
    } else if (this.#queue.length > 0) {
      this.#timer = clock.after(commitInterval, () => this.#start());
    }
  }

  /** One try of one commit. False where the store did not take it; it stays for the next try. */
  async #commitOnce(): Promise<boolean> {
    const { store, clock, log } = this.#options;
    if (this.#batch === undefined) this.#applyBreak();
    this.#batch ??= this.#makeBatch();
    if (this.#batch === undefined) return true;
    const begun = clock.monotonic();
    log('debug', 'a commit begins', { ...this.#batch.position });
    try {
      const lease = await this.#lease.take();
      const outcome = await store.commit(commitOf(this.#batch, lease));
      this.#stats.lastCommitDurationMs = clock.monotonic() - begun;
      return await this.#takeOutcome(outcome, this.#batch);
    } catch (error) {
      return this.#commits.failed(error);
    }
  }

  #makeBatch(): Batch | undefined {
    const records = this.#queue.take(this.#options.commitBytes);
    if (records.length === 0) return undefined;
    const oldest = this.#queue.oldestTime ?? Number.POSITIVE_INFINITY;
    const watermark = asTime(Math.min(this.#options.completeUpTo(), oldest - 1));
    const { last } = this.#numbers;
    const batch = makeBatch(records, this.#stored, last, this.#ledger, this.#tally, watermark);
    this.#tally = new Tally();
    this.#numbers.given(batch.position);
    if (this.#queue.length === 0) this.#numbers.beginAsked();
    return batch;
  }

  async #takeOutcome(outcome: CommitOutcome, batch: Batch): Promise<boolean> {
    switch (outcome.outcome) {
      case 'applied':
        if (outcome.beginEpoch === true) this.#numbers.askForNext(batch.position.epoch);
        await this.#committed(batch);
        return true;
      case 'already_applied':
        await this.#committed(batch);
        return true;
      case 'fenced': {
        // The lease ran out or the store lost it: taken again, once without waiting.
        const mayTryAgain = this.#lease.fenced();
        // Before a first commit nothing else tells of a wipe.
        if (batch.expected === null) await this.#expected.tellAgain();
        if (mayTryAgain) return true;
        throw new CanopyError('storage_unavailable', `the lease on journal ${this.ref} was lost`);
      }
      case 'behind':
        return this.#storeWentBack(outcome.state);
      case 'absent':
        return this.#storeWentBack(undefined);
    }
  }

  async #committed(batch: Batch): Promise<void> {
    const { onCommitted, log, clock } = this.#options;
    const { ledger } = batch;
    this.untoldGaps.forget(batch.ledger);
    this.untoldGaps.nameIn(ledger);
    this.#ledger = ledger;
    this.#stored = batch.position;
    this.#batch = undefined;
    this.#stats.commits++;
    this.#committedAt = clock.monotonic();
    if (this.#queue.length === 0) this.#numbers.beginAsked();
    this.#lease.held();
    this.#commits.wentThrough();
    log('debug', 'a commit is synced', { ...batch.position });
    this.index.observe(batch.entries);
    onCommitted(this.ref, batch.entries, ledger);
    this.#settle();
    await this.#checkpoint();
  }

  async #checkpoint(): Promise<void> {
    const { store, clock, log } = this.#options;
    const now = clock.monotonic();
    if (now - this.#checkpointAt < CHECKPOINT_EVERY_MS) return;
    this.#checkpointAt = now;
    // A restart reads more of the journal, that is all.
    await saveCheckpoint(store, this.ref, this.index).catch((error: unknown) =>
      log('debug', `the journal's checkpoint was not stored: ${errorText(error)}`),
    );
  }

  /** The store lost what readers may have seen: nothing may be numbered as before. */
  async #storeWentBack(left: JournalState | undefined): Promise<true> {
    const { log, clock } = this.#options;
    if (left === undefined) await this.#expected.tellAgain();
    log('error', 'the store is behind the journal (restored or wiped): a new epoch begins', {
      stored: left === undefined ? 'nothing' : `${left.position.epoch}-${left.position.sequence}`,
    });
    const lost = this.#ledger.watermark;
    const kept = parseLedger(left?.ledger ?? '').watermark;
    this.#stored = left?.position ?? null;
    this.#lease.lose();
    this.#newEpoch(left?.position.epoch ?? 0);
    const to = asTime(Math.max(lost, clock.now()));
    this.#enqueued++;
    this.#queue.push(gapRecord(0, asTime(Math.min(kept, to)), to, 'restart', -1, undefined));
    return true;
  }

  #applyBreak(): void {
    const above = this.#numbers.takeBreak();
    if (above === undefined) return;
    this.#options.log('warn', 'a reader has seen more of this journal: a new epoch begins', {
      seen: `${above.epoch}-${above.sequence}`,
    });
    this.#newEpoch(above.epoch);
  }

  /** Groups begin anew with their next frame; frames that wait build on what is gone. */
  #newEpoch(above: Epoch): void {
    if (this.#batch !== undefined) {
      for (const [writer, time] of this.#batch.sentBefore) writer.lastSentTime = time;
      this.#queue.putBack(this.#batch.records);
      this.#tally.add(this.#batch.tally);
      this.#batch = undefined;
    }
    this.#numbers.begin(above);
    this.#countDropped(this.#queue.dropAll(), 'epoch_break');
  }

  #waitingRecords(): number {
    return this.#queue.length + (this.#batch?.records.length ?? 0);
  }

  /** Lets those go on whose records are synced or dropped. */
  #settle(): void {
    this.#waiters.settle(this.#enqueued - this.#waitingRecords());
  }
}
