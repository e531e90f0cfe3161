import type { FramePuller } from '@canopy/federation';
import { type GapRecord, type JournalRef, PendingGaps, asTime } from '@canopy/model';
import type { JournalWriter } from '@canopy/store';
import { expect, it } from 'vitest';
import { A, B } from '../testing/two-journals.js';
import { FoundGaps, type LedgerWriters } from './found-gaps.js';

const gap = (from: number): GapRecord => ({
  ...{ group: 0, from: asTime(from), to: asTime(from + 1) },
  ...{ cause: 'corrupt', frames: 1 },
});

/** What a puller, or the writer of journal `own`, does with gaps. */
function writer(own?: JournalRef) {
  const byJournal = new Map<JournalRef, PendingGaps>();
  const of = (ref: JournalRef): PendingGaps => {
    const pending = byJournal.get(ref) ?? new PendingGaps();
    byJournal.set(ref, pending);
    return pending;
  };
  return {
    puller: {
      nameGap: (ref: JournalRef, found: GapRecord) => of(ref).add(found),
      untoldGaps: (ref: JournalRef) => of(ref).gaps,
      refs: () => [...byJournal.keys()],
    } as unknown as FramePuller,
    journal: {
      ref: own,
      nameGap: (found: GapRecord) => of(own!).add(found),
      get untoldGaps() {
        return of(own!);
      },
    } as unknown as JournalWriter,
  };
}

it('shows on standby what is missing here, and tells it once this process writes', () => {
  const writers: { -readonly [K in keyof LedgerWriters]: LedgerWriters[K] } = {
    ...{ journal: undefined, puller: undefined },
  };
  const gaps = new FoundGaps(writers);
  gaps.name(A, gap(10));
  expect([gaps.of(A), gaps.of(B)]).toEqual([[gap(10)], []]);
  const { puller } = writer();
  writers.puller = puller;
  gaps.tell();
  gaps.name(B, gap(30));
  expect([puller.untoldGaps(A), puller.untoldGaps(B)]).toEqual([[gap(10)], [gap(30)]]);
  expect([gaps.of(A), gaps.of(B)]).toEqual([[gap(10)], [gap(30)]]);

  // Another one leads before it was stored.
  writers.puller = undefined;
  gaps.takeFrom(puller);
  expect([gaps.of(A), gaps.of(B)]).toEqual([[gap(10)], [gap(30)]]);
  const next = writer(A);
  Object.assign(writers, next);
  gaps.tell();
  expect(next.journal.untoldGaps.gaps).toEqual([gap(10)]);
  expect(gaps.of(A)).toEqual([gap(10)]);
  expect(next.puller.untoldGaps(B)).toEqual([gap(30)]);
});
