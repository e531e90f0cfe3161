import { asTime, makeMatcher } from '@canopy/model';
import { expect, it } from 'vitest';
import { JournalScript, smallHead } from '../testing/index.js';

const START = 1_700_000_000_000;

it('tells what it reads into memory, and ends where that is refused', async () => {
  const head = smallHead(START);
  const journal = new JournalScript('a');
  const names = Array.from({ length: 300 }, (_none, i) => ({ __name__: `m${i}` }));
  const group = journal.group().add(...names);
  for (let second = 0; second < 20; second++) {
    group.frame(
      START + second * 1000,
      names.map((_name, i) => i + second),
    );
  }
  head.apply(journal.ref, journal.entries);
  const snapshot = head.snapshot();
  const range = { minTime: asTime(START), maxTime: asTime(START + 3_600_000) };
  const matchers = [makeMatcher('__name__', '=~', 'm.*')];
  let read = 0;
  const selected = await snapshot.select(matchers, range, undefined, (entries) => {
    read += entries;
  });
  expect(selected).toHaveLength(300);
  expect(read).toBe(300 * 20);
  read = 0;
  const tooMuch = snapshot.select(matchers, range, undefined, (entries) => {
    read += entries;
    if (read > 1000) throw new Error('enough');
  });
  await expect(tooMuch).rejects.toThrow('enough');
  expect(read).toBe(1020);
  snapshot.release();
});
