import { asDuration, asTime } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { Head } from '../index.js';
import { JournalScript } from '../testing/index.js';

const START = 1_700_000_000_000;

it('keeps what a frame changed whose row is refused: the frames after it build on it', async () => {
  const head = new Head({
    clock: new VirtualClock(START),
    windowMs: asDuration(3_600_000),
    tileFrames: 8, // rows are packed one by one
    outOfOrderWindow: asDuration(0),
    onTileClosed: () => {},
    tileSource: null,
    maxSeries: 10,
  });
  const journal = new JournalScript('a');
  const group = journal.group().add({ __name__: 'still' }, { __name__: 'moved' });
  const check = async (expected: readonly number[]): Promise<void> => {
    head.apply(journal.ref, journal.take());
    const snapshot = head.snapshot();
    const range = { minTime: asTime(START), maxTime: asTime(START + 60_000) };
    const found = await snapshot.select([MOVED], range);
    snapshot.release();
    const rows = found.map(({ values, from, to }) => Array.from(values.subarray(from, to)));
    expect(rows).toEqual([expected]);
  };
  group.frame(START, [1, 2]);
  group.frame(START + 2000, [1, 2]);
  group.frame(START + 1000, [1, 9]); // refused: before the newest
  group.frame(START + 3000, [1, 9]); // says that nothing changed
  group.frame(START + 4000, [1, 9]);
  await check([2, 2, 9, 9]);
  expect(head.stats.refused).toEqual({ out_of_order: 2 });
  group.frame(START + 5000, [1, 9], true); // closes the tile
  await check([2, 2, 9, 9, 9]);
});

const MOVED = {
  name: '__name__',
  op: '=',
  value: 'moved',
  matches: (text: string) => text === 'moved',
} as const;
