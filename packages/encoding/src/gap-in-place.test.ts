import { EntryKind, asTime } from '@canopy/model';
import { expect, it } from 'vitest';
import { encodeEntry, entryPayload } from './entry.js';
import { gapInPlace } from './gap-in-place.js';
import { decodeGap } from './gap.js';

it('reaches over all times that the frame in its place may have had', () => {
  const check = (
    [before, after, newest, late]: [number | null, number | null, number, number],
    [from, to]: [number, number],
    why: string,
  ): void => {
    const neighbours = { before: frame(before), after: frame(after) };
    const { gap, entry } = gapInPlace({ epoch: 1, sequence: 7 }, neighbours, { newest, late });
    expect(gap, why).toEqual({ group: 0, from, to, cause: 'corrupt', frames: 1 });
    expect(decodeGap(entryPayload(entry)), why).toEqual(gap);
    expect(entry, why).toMatchObject({ epoch: 1, sequence: 7, kind: EntryKind.gap, time: to });
  };
  check([1000, 3000, 9000, 0], [999, 3001], 'from the one to the other');
  check([1000, 3000, 9000, 50], [949, 3051], 'frames come late by that much');
  check([3000, 1000, 9000, 0], [999, 3001], 'a clock was set back between them');
  check([1000, null, 1250, 50], [949, 1251], 'the newest: no frame is younger');
  check([1000, null, 0, 0], [999, 1001], 'a ledger that does not tell');
  check([null, 3000, 9000, 50], [0, 3051], 'what was before is cut off');
  check([null, null, 9000, 0], [0, 9001], 'nothing else is there');
  check([10, null, 10, 50], [0, 11], 'no time is before 0');
});

const frame = (time: number | null) =>
  time === null
    ? undefined
    : encodeEntry(
        {
          ...{ epoch: 1, sequence: 1, kind: EntryKind.frame, group: 1 },
          ...{ time: asTime(time), key: false },
        },
        new Uint8Array(4),
      );
