/** The journal that this process writes itself. */
import type { DurationMs, JournalEntry, JournalRef, Milliseconds } from '@canopy/model';
import { JournalWriter, type OnFound } from '@canopy/store';
import type { LifeCycle } from '../life-cycle.js';
import { type CanopyProcess, KEY_FRAME_EVERY, LEASE_TTL } from './process.js';

const COMMIT_INTERVAL = 1000 as DurationMs;
const COMMIT_BYTES = 1024 * 1024;
const JOURNAL_QUEUE_BYTES = 256 * 1024 * 1024;

export interface OwnJournalOptions {
  readonly life: LifeCycle;
  /** Another process writes it when `life` ends. */
  isLost(): boolean;
  readonly onFound?: OnFound;
}

/** Takes the journal's lease, names the gap since the last run; `process.journal` until `life` ends. */
export async function openOwnJournal(
  process: CanopyProcess,
  { life, isLost, onFound }: OwnJournalOptions,
): Promise<JournalWriter> {
  const { volatile, pathIdentity } = process;
  const journal = await JournalWriter.open({
    store: process.store,
    clock: process.clock,
    randomBytes: process.world.randomBytes,
    owner: process.owner,
    leaseTtl: LEASE_TTL,
    commitInterval: COMMIT_INTERVAL,
    commitBytes: COMMIT_BYTES,
    keyFrameEvery: KEY_FRAME_EVERY,
    queueBytesMax: JOURNAL_QUEUE_BYTES,
    onCommitted: (ref: JournalRef, entries: readonly JournalEntry[]) => {
      if (process.isLevel) process.head.apply(ref, entries);
    },
    completeUpTo: () => process.scraping?.completeUpTo() ?? (0 as Milliseconds),
    log: process.log,
    pathIdentity,
    // A store without a path is another server's; a disk may lack what readers have.
    get mayGoBack() {
      return pathIdentity === '' || volatile?.isVolatile === true || volatile?.lostTail === true;
    },
    lostTail: volatile?.lostTail === true,
    seenUpTo: (ref) => process.head.position(ref),
    onFound,
  });
  process.journal = journal;
  for (const { ref, gap } of process.corrupt.missing())
    if (ref === journal.ref) journal.nameGap(gap);
  life.add('the journal', async () => {
    await journal.close(isLost());
    process.journal = undefined;
  });
  return journal;
}
