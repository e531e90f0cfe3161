import { asTime, makeMatcher } from '@canopy/model';
import { expect, it } from 'vitest';
import { JournalScript, smallHead } from '../testing/index.js';

const START = 1_700_000_000_000;

it('shows a frame whole or not at all, also where series of one group are read one after another', async () => {
  for (let moment = 0; moment < 12; moment++) {
    // Each look at the clock finds that others must get their turn.
    let now = 0;
    const head = smallHead(START, { monotonic: () => (now += 20) });
    const journal = new JournalScript('a');
    journal.group().add({ __name__: 'x', n: '1' }).frame(START, [1]);
    const group = journal.group().add({ __name__: 'x', n: '1' }, { __name__: 'x', n: '2' });
    for (let second = 10; second < 14; second++) group.frame(START + second * 1000, [second, 0]);
    head.apply(journal.ref, journal.take());
    const snapshot = head.snapshot();
    const range = { minTime: asTime(START), maxTime: asTime(START + 60_000) };
    const selecting = snapshot.select([makeMatcher('__name__', '=', 'x')], range);
    for (let i = 0; i < moment; i++) await new Promise((done) => setImmediate(done));
    group.frame(START + 14_000, [14, 0]);
    head.apply(journal.ref, journal.take());
    const newest = (await selecting).map(({ times, to }) => times[to - 1] - START);
    expect([moment, ...newest]).toEqual([moment, 13_000, 13_000]);
    snapshot.release();
  }
});

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
