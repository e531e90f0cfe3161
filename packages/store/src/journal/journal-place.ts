/** What a journal needs to know before it is written: who it is, whether it may be written, where it ended. */
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type Epoch,
  type JournalId,
  JOURNAL_START,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Lease,
  type Ledger,
  type Milliseconds,
  type Store,
  asDuration,
  asTime,
  comparePositions,
  journalRef,
  parseLedger,
  sleep,
} from '@canopy/model';
import { ExpectedScrapes } from './expected-scrapes.js';
import {
  type GroupColumns,
  type Predecessor,
  gapRecord,
  isPushed,
  targetKey,
} from './group-columns.js';
import { type FoundIdentity, type JournalIdentity, findIdentity } from './journal-id.js';
import { JournalIndex } from './journal-index.js';
import type { JournalWriterOptions } from './options.js';
import type { QueuedRecord } from './record-queue.js';

const CLEAN_DOCUMENT = 'journal/clean';
const CHECKPOINT_DOCUMENT = 'journal/groups';
const LEASE_RETRY_MS = 500;
/** Groups that ended and may be gone on from. */
const PREDECESSORS_MAX = 20_000;
const SCAN_LIMITS = { maxBytes: 4 * 1024 * 1024, maxEntries: 10_000 };

/** Where a journal is, who it is, that it may be written, and what is there. */
export interface Place {
  readonly found: FoundIdentity;
  readonly lease: Lease;
  readonly recovered: Recovered;
}

/** @throws CanopyError of the store; `storage_locked` while another process writes the journal. */
export async function takePlace(options: JournalWriterOptions): Promise<Place> {
  const { store, clock, owner, leaseTtl, pathIdentity, randomBytes, log } = options;
  const found = await findIdentity(store, pathIdentity, randomBytes, log);
  const lease = await takeLease(store, journalRef(found.identity.id), owner, leaseTtl, clock);
  return { found, lease, recovered: await recover(options, found.identity) };
}

/**
 * Takes the lease; waits for one that a process before left behind, twice its life at most.
 * @throws CanopyError `storage_locked` where another keeps it.
 */
export async function takeLease(
  store: Store,
  ref: JournalRef,
  owner: string,
  ttl: DurationMs,
  clock: Clock,
): Promise<Lease> {
  const begun = clock.monotonic();
  for (;;) {
    const outcome = await store.acquireLease(ref, owner, ttl);
    if (outcome.granted) return outcome.lease;
    if (clock.monotonic() - begun > 2 * ttl) {
      throw new CanopyError('storage_locked', `journal ${ref} is written by ${outcome.heldBy}`);
    }
    await sleep(clock, asDuration(Math.min(LEASE_RETRY_MS, outcome.expiresIn + 1)));
  }
}

/** Of a journal that this process wrote before. @throws CanopyError `storage_unavailable` where another has it now. */
export async function takeLeaseAgain(
  ref: JournalRef,
  { store, owner, leaseTtl }: Pick<JournalWriterOptions, 'store' | 'owner' | 'leaseTtl'>,
): Promise<Lease> {
  const outcome = await store.acquireLease(ref, owner, leaseTtl);
  if (outcome.granted) return outcome.lease;
  const text = `journal ${ref} is written by ${outcome.heldBy}`;
  throw new CanopyError('storage_unavailable', text);
}

/** What is left of a journal that had `known`; undefined where all is there, or the store does not answer now. */
export async function lostOf(
  store: Store,
  ref: JournalRef,
  known: JournalPosition,
): Promise<{ readonly left: JournalState | undefined } | undefined> {
  try {
    const left = await store.journal(ref);
    const isThere = left !== undefined && comparePositions(left.position, known) >= 0;
    return isThere ? undefined : { left };
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    return undefined;
  }
}

export interface Recovered {
  /** Undefined for a journal without a commit. */
  readonly state: JournalState | undefined;
  readonly index: JournalIndex;
  /** The process before ended by `close`. */
  readonly clean: boolean;
  readonly expected: ExpectedScrapes;
  /** While there is no commit: the oldest time in the journal that the folder had before it was copied; else undefined. */
  readonly formerFrom?: Milliseconds | undefined;
}

/** Of so many epochs one is taken where the clock is of no help. They have 32 bits: room for a million begun so. */
const PLACES = 4096;

/** The position that the writer goes on from. `mustRise`: readers may have more than is stored, as where the store may go back. */
export function beginning(
  state: JournalState | undefined,
  mustRise: boolean,
  ref: JournalRef,
  options: Pick<JournalWriterOptions, 'clock' | 'randomBytes' | 'mayGoBack' | 'seenUpTo'>,
): JournalPosition {
  const { clock, randomBytes, mayGoBack, seenUpTo } = options;
  const { epoch, sequence } = state?.position ?? JOURNAL_START;
  if (!mustRise && mayGoBack !== true) return { epoch: Math.max(1, epoch), sequence };
  // What the store knows of earlier epochs may be out of date; the clock is not, unless it was set back.
  const known = Math.max(epoch, seenUpTo?.(ref)?.epoch ?? 0);
  return { epoch: epochAbove(known, { clock, randomBytes }), sequence: 0 };
}

/** By the clock; one of some places above `known` where that was set back behind it. */
export function epochAbove(
  known: Epoch,
  { clock, randomBytes }: Pick<JournalWriterOptions, 'clock' | 'randomBytes'>,
): Epoch {
  const seconds = Math.floor(clock.now() / 1000);
  if (seconds > known) return seconds;
  const [high, low] = randomBytes(2);
  return known + 1 + ((high * 256 + low) % PLACES);
}

/** Reads the end of the journal, from the last checkpoint on. */
async function recover(
  { store, log, lostTail }: JournalWriterOptions,
  identity: JournalIdentity,
): Promise<Recovered> {
  const ref = journalRef(identity.id);
  const state = await store.journal(ref);
  const index = new JournalIndex();
  const cleanText = await store.getDocument(CLEAN_DOCUMENT);
  if (cleanText !== undefined) await store.putDocument(CLEAN_DOCUMENT, undefined);
  const isMarked = cleanText === cleanMark(ref, state?.position ?? JOURNAL_START);
  const clean = isMarked && lostTail !== true;
  const expected = await ExpectedScrapes.load(
    store,
    identity,
    log,
    state?.position ?? JOURNAL_START,
  );
  if (state === undefined) {
    return { state, index, clean, expected, formerFrom: await oldestOf(store, identity.former) };
  }
  const checkpoint = await store.getDocument(CHECKPOINT_DOCUMENT);
  const usable =
    checkpoint !== undefined &&
    index.restore(checkpoint, ref) &&
    comparePositions(index.position, state.position) <= 0;
  const base = usable ? index : new JournalIndex();
  const isCutBehind = comparePositions(base.position, state.trimmed) < 0;
  // Of groups whose first entries were cut since, or before all that is kept, layouts alone tell.
  if (isCutBehind) {
    const layouts = await store.readLayouts(ref);
    base.observe(
      layouts.filter(
        (entry) =>
          comparePositions(entry, base.position) > 0 && comparePositions(entry, state.trimmed) <= 0,
      ),
    );
  }
  const from = isCutBehind ? state.trimmed : base.position;
  let after: JournalPosition = from;
  for (;;) {
    const entries = await store.readEntries(ref, after, SCAN_LIMITS);
    if (entries.length === 0) break;
    base.observe(entries);
    const { epoch, sequence } = entries[entries.length - 1];
    after = { epoch, sequence };
  }
  return { state, index: base, clean, expected };
}

/** Of what is kept of a journal; undefined where there is none. */
async function oldestOf(
  store: Store,
  id: JournalId | undefined,
): Promise<Milliseconds | undefined> {
  const state = id === undefined ? undefined : await store.journal(journalRef(id));
  if (state === undefined) return undefined;
  const limits = { maxBytes: 1, maxEntries: 1 };
  const [oldest] = await store.readEntries(state.ref, state.trimmed, limits);
  return asTime(oldest === undefined ? parseLedger(state.ledger).watermark : oldest.time - 1);
}

/**
 * Groups of the run before, which those of this one go on from, by target. `toldUpTo`: end of the gap that tells of
 * all of them what is missing; undefined where there is none.
 */
export function predecessorsOf(
  index: JournalIndex,
  clean: boolean,
  { watermark }: Readonly<Ledger>,
  toldUpTo: Milliseconds | undefined,
): Map<string, Predecessor> {
  const predecessors = new Map<string, Predecessor>();
  for (const track of index.groups.values()) {
    if (track.lastTime === 0) continue;
    const lastTime = asTime(track.lastTime);
    const cause = clean ? 'stopped' : 'restart';
    // Without a watermark the gap begins at the newest frame of all, and of a group more may be missing.
    const told = watermark > 0 ? toldUpTo : undefined;
    const predecessor = { group: track.group, lastTime, cause, toldUpTo: told } as const;
    predecessors.set(targetKey(track), predecessor);
  }
  return predecessors;
}

/** A group that is closed may be gone on from, too. */
export function rememberClosed(
  predecessors: Map<string, Predecessor>,
  { group, lastTime, meta }: Pick<GroupColumns, 'group' | 'lastTime' | 'meta'>,
): void {
  if (group === 0 || lastTime === undefined) return;
  if (predecessors.size >= PREDECESSORS_MAX) {
    const [oldest] = predecessors.keys();
    predecessors.delete(oldest);
  }
  const predecessor = { group, lastTime, cause: undefined, toldUpTo: undefined };
  predecessors.set(targetKey(meta), predecessor);
}

/** Scrapes come in so many commit intervals before a kill, at the most, that are not synced. */
const UNSYNCED_INTERVALS = 2;

/**
 * What is missing since the run before, told before anything else: a target may come back late or never, and
 * the watermark must pass no hole that is not named. Undefined where nothing was scraped then.
 */
export function gapSinceBefore(
  { index, clean, expected, formerFrom }: Omit<Recovered, 'state'>,
  { watermark, setBackTo }: Readonly<Ledger>,
  { clock, commitInterval }: Pick<JournalWriterOptions, 'clock' | 'commitInterval'>,
): QueuedRecord | undefined {
  const now = clock.now();
  // What of it was pulled is not known here: as after a kill, the gap is the time in which something may be missing.
  if (formerFrom !== undefined && formerFrom < now) {
    return gapRecord(0, formerFrom, now, 'restart', -1, undefined);
  }
  const hasScrapes = [...index.groups.values()].some(
    (track) => track.lastTime > 0 && !isPushed(track),
  );
  // Of scrapes that were answered and never synced there is nothing but the word that they were coming.
  const wasScraping = hasScrapes || (expected.from !== undefined && !clean);
  const synced = setBackTo ?? (watermark > 0 ? watermark : index.newest);
  const complete = hasScrapes ? synced : Math.max(synced, expected.from ?? 0);
  // Of a process that began with its clock set back and committed nothing there is that word, too.
  const from = asTime(clean ? complete : Math.min(complete, expected.oldest ?? complete));
  if (!wasScraping || from === now || (clean && from > now)) return undefined;
  if (clean) return gapRecord(0, from, now, 'stopped', 0, undefined);
  // The clock may have been set back meanwhile: what was lost has times of before, or of a process that committed nothing.
  const known = Math.max(complete, expected.newest ?? 0);
  const to = asTime(Math.max(now, known + UNSYNCED_INTERVALS * commitInterval));
  return gapRecord(0, from, to, 'restart', -1, undefined);
}

export async function saveCheckpoint(
  store: Store,
  ref: JournalRef,
  index: JournalIndex,
): Promise<void> {
  await store.putDocument(CHECKPOINT_DOCUMENT, index.checkpoint(ref));
}

/** Of a clean end at `position`. */
export async function saveEnd(
  store: Store,
  ref: JournalRef,
  index: JournalIndex,
  position: JournalPosition | null,
): Promise<void> {
  await saveCheckpoint(store, ref, index);
  await store.putDocument(CLEAN_DOCUMENT, cleanMark(ref, position ?? JOURNAL_START));
}

/** Says which end was clean: a mark that was left behind by a copy or an older end does not count. */
function cleanMark(ref: JournalRef, { epoch, sequence }: JournalPosition): string {
  return `${ref} ${epoch}-${sequence}`;
}
