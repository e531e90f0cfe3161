import { randomBytes } from 'node:crypto';
import {
  type Clock,
  EntryKind,
  type GroupId,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  asTime,
  journalRef,
} from '@canopy/model';
import { encodeEntry } from '@canopy/encoding';

/** The clock of the machine; library code has none of its own. */
export const systemClock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after(delay, fire) {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** A journal nobody has used. */
export function testJournal(filterHash = ''): JournalRef {
  return journalRef(randomBytes(16).toString('hex') as never, filterHash);
}

/** An entry whose payload is `size` bytes of noise; passes the checks of a record. */
export function testEntry(
  { epoch, sequence }: JournalPosition,
  kind: keyof typeof EntryKind = 'frame',
  group: GroupId = 1,
  size = 40,
): JournalEntry {
  const key = kind === 'frame' && sequence === 1;
  const time = asTime(1_700_000_000_000 + sequence * 1000);
  return encodeEntry(
    { epoch, sequence, kind: EntryKind[kind], group, time, key },
    randomBytes(size),
  );
}
