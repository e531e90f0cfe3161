import { decodeLayout, entryPayload } from '@canopy/encoding';
import { asDuration, labelsFromObject } from '@canopy/model';
import { expect, it, vi } from 'vitest';
import {
  BASE,
  DOWN,
  addSeries,
  at,
  clock,
  committed,
  crash,
  lmdb,
  messages,
  open,
  openGroup,
  read,
  store,
  write,
} from '../testing/journal-rig.js';
import { JournalWriter } from './journal-writer.js';

it('names no gap after kill -9 in what others push: they have what was not acknowledged', async () => {
  const push = async (value: number): Promise<JournalWriter> => {
    const journal = await open();
    const meta = {
      kind: 'loose',
      target: labelsFromObject({ job: 'a' }),
      scrapeUrl: '',
    } as const;
    const group = journal.openGroup({ ...meta, interval: asDuration(0) });
    addSeries(group, 'm');
    const [one, times] = [Uint8Array.of(1), Float64Array.of(clock.now())];
    group.writeLoose(1, Uint32Array.of(0), times, one, Float64Array.of(value));
    await journal.flush();
    return journal;
  };
  await push(1);
  await crash();
  await clock.advance(60_000);
  const { frames, gaps } = await read(await push(2));
  expect([frames.length, gaps]).toEqual([2, []]);
});

it('goes on after kill -9: sequences, groups, a gap of cause restart', async () => {
  const first = await open();
  const group = openGroup(first);
  addSeries(group, 'm');
  write(group, 0, 1);
  write(group, 5000, 2);
  await first.flush();
  write(group, 10_000, 3); // Never synced: the unseen tail.
  await crash();
  const second = await open();
  expect(second.id).toBe(first.id);
  const again = openGroup(second);
  const fresh = openGroup(second, 'b');
  addSeries(again, 'm');
  addSeries(fresh, 'x');
  write(again, 60_000, 4);
  write(fresh, 60_000, 5);
  await second.flush();
  const { frames, gaps, layouts } = await read(second);
  expect(frames).toEqual(['a 0 m=1', 'a 5000 m=2', 'a 60000 m=4', 'b 60000 x=5']);
  expect(gaps).toEqual([
    { group: 1, from: at(5000), to: at(60_000), cause: 'restart', frames: -1 },
  ]);
  expect(layouts.map(({ group, meta }) => [group, meta.continues])).toEqual([
    [1, 0],
    [2, 1],
    [3, 0],
  ]);
  expect(second.position).toEqual({ epoch: 1, sequence: 8 });
  expect(second.ledger).toMatchObject({ frames: 4, gapsTotal: 1 });
  await second.close();
});

it('goes on with a group whose layout was cut since the last checkpoint, or before the first', async () => {
  const first = await open();
  const group = openGroup(first);
  addSeries(group, 'm');
  write(group, 0, 1);
  write(group, 5000, 2);
  await first.flush();
  await lmdb.trimJournal(first.lease, { epoch: 1, sequence: 2 });
  await crash();
  const second = await open();
  const again = openGroup(second);
  addSeries(again, 'm');
  write(again, 60_000, 3);
  await second.flush();
  const layouts = (await lmdb.readLayouts(second.ref)).map(
    (entry) => decodeLayout(entryPayload(entry)).meta.continues,
  );
  expect(layouts).toEqual([0, 1]);
  await second.close();
});

it('tells of a restart once, and of a target of its own only where it comes late', async () => {
  for (const clean of [false, true]) {
    const jobs = ['a', 'b', 'late', 'gone'].map((job) => `${job} ${clean}`);
    const first = await open();
    for (const job of jobs) {
      const group = openGroup(first, job);
      addSeries(group, 'm');
      write(group, clock.now() - BASE, 1);
    }
    await first.flush();
    const before = { ...first.ledger.gapsByCause };
    const reached = first.watermark;
    if (clean) await first.close();
    else await crash();
    await clock.advance(60_000);
    const second = await open();
    const start = clock.now();
    for (const [i, job] of jobs.slice(0, 3).entries()) {
      const group = openGroup(second, job);
      addSeries(group, 'm');
      write(group, start - BASE + [5000, 10_000, 10_001][i], 2);
    }
    await second.flush();
    const cause = clean ? 'stopped' : 'restart';
    const told = (await read(second)).gaps.filter(({ from }) => from >= reached);
    const late = second.ledger.gaps.find(({ job }) => job === `late ${clean}`);
    expect(told).toEqual([
      { group: 0, from: reached, to: start, cause, frames: clean ? 0 : -1 },
      { group: late?.group, from: start, to: start + 10_001, cause, frames: 0 },
    ]);
    expect(second.ledger.gapsByCause[cause]).toBe((before[cause] ?? 0) + 2);
    await second.close();
    await clock.advance(60_000);
  }
});

it('names what may have been answered before the first commit, once, and only where it was lost', async () => {
  const gapsAfter = async (run: (journal: JournalWriter) => Promise<void>) => {
    const journal = await open();
    await run(journal);
    await crash();
    await clock.advance(10_000);
    const next = await open();
    await next.flush();
    const { gaps } = await read(next);
    await next.close();
    return gaps;
  };
  // Nobody scraped.
  expect(await gapsAfter(async () => {})).toEqual([]);
  // It was answered, and its frame was not synced.
  const killed = await gapsAfter(async (journal) => {
    await journal.expectScrapes(at(12_000));
    const group = openGroup(journal);
    addSeries(group, 'm');
    write(group, 12_000, 1);
  });
  expect(killed).toEqual([
    { group: 0, from: at(11_999), to: at(20_000), cause: 'restart', frames: -1 },
  ]);
  // A word that was given once holds: the next kill before a first frame is named as well, from where it was complete.
  const again = await gapsAfter((journal) => journal.expectScrapes(at(22_000)));
  expect(again.slice(1)).toMatchObject([{ group: 0, to: at(30_000), cause: 'restart' }]);
  // The clock is set back while it is down: only its word tells which times it had, although it committed nothing.
  const setBack = await gapsAfter(async (journal) => {
    await journal.expectScrapes(at(40_000));
    clock.stepWallClock(-15_000);
  });
  expect(setBack.slice(2)).toMatchObject([{ group: 0, to: at(41_999), cause: 'restart' }]);
});

it('names what a kill lost where the clock was set back, before it or after', async () => {
  const first = await open();
  const group = openGroup(first, 'a');
  addSeries(group, 'm');
  write(group, 0, 1);
  await first.flush();
  await crash();
  // While it was down.
  clock.stepWallClock(-60_000);
  const second = await open();
  const later = openGroup(second, 'a');
  addSeries(later, 'm');
  write(later, -50_000, 2);
  await clock.advance(10_000);
  await second.flush();
  const { gaps } = await read(second);
  expect(gaps).toEqual([{ group: 0, from: at(0), to: at(2000), cause: 'restart', frames: -1 }]);
  // Complete up to some 50 s before, by the clock as it is now.
  const { watermark, setBackTo } = second.ledger;
  expect(watermark).toBe(at(0));
  expect(setBackTo).toBeLessThan(at(-40_000));
  await crash();
  await clock.advance(10_000);
  const third = await open();
  await third.flush();
  const [, named] = (await read(third)).gaps;
  expect(named).toMatchObject({ from: setBackTo, to: clock.now(), cause: 'restart' });
  await third.close();
});

it('names what a process lost that began with its clock set back and committed nothing', async () => {
  const gapOfNext = async () => {
    await crash();
    clock.stepWallClock(30_000);
    const next = await open();
    await next.flush();
    return (await read(next)).gaps.at(-1);
  };
  const first = await open();
  const group = openGroup(first, 'a');
  addSeries(group, 'm');
  write(group, 0, 1);
  await first.flush();
  await crash();
  clock.stepWallClock(-60_000);
  const second = await open();
  await second.expectScrapes(at(-55_000));
  await crash();
  clock.stepWallClock(1000);
  // Another one, whose clock is not as far back.
  const third = await open();
  await third.expectScrapes(at(-50_000));
  expect(await gapOfNext()).toMatchObject({ from: at(-55_001), to: at(2000), cause: 'restart' });
  // Once it is told, it is told.
  expect((await gapOfNext())?.from).toBeGreaterThan(at(-40_000));
});

it('names nothing after a clean end without a frame', async () => {
  const first = await open();
  await first.expectScrapes(at(0));
  await first.close();
  await clock.advance(10_000);
  const second = await open();
  await second.flush();
  expect((await read(second)).gaps).toEqual([]);
  await second.close();
});

it('tries again to say that scrapes are coming, and lets them come meanwhile', async () => {
  const journal = await open();
  vi.spyOn(store, 'putDocument').mockRejectedValueOnce(DOWN);
  await journal.expectScrapes(at(0));
  expect(messages.join()).toContain('scrapes are coming');
  await journal.expectScrapes(at(1000));
  await crash();
  await clock.advance(10_000);
  const second = await open();
  await second.flush();
  expect((await read(second)).gaps).toMatchObject([{ from: at(999), cause: 'restart' }]);
  await second.close();
});

it('moves the watermark past no hole that is not named, whoever comes back', async () => {
  const first = await open();
  const groups = ['a', 'b', 'gone'].map((job) => openGroup(first, job));
  for (const group of groups) addSeries(group, 'm');
  for (const group of groups) write(group, 0, 1);
  await first.flush();
  const reached = first.watermark;
  await crash();
  await clock.advance(60_000);
  const second = await open();
  expect(second.watermark).toBe(reached);
  const again = openGroup(second, 'a');
  addSeries(again, 'm');
  write(again, 60_000, 2);
  await second.flush();
  // `b` is scraped later, `gone` never again.
  expect(second.watermark).toBeGreaterThan(reached);
  const told = (await read(second)).gaps;
  expect(told).toEqual([{ group: 0, from: reached, to: at(60_000), cause: 'restart', frames: -1 }]);
  await second.close();
  await clock.advance(60_000);
  const third = await open();
  await third.flush();
  expect((await read(third)).gaps.at(-1)).toEqual({
    ...{ group: 0, from: at(60_000), to: at(120_000), cause: 'stopped', frames: 0 },
  });
  await third.close();
});

it('names a clean stop as such, once', async () => {
  const causes: string[] = [];
  for (let run = 0; run < 3; run++) {
    const journal = await open();
    const group = openGroup(journal);
    addSeries(group, 'm');
    write(group, run * 60_000, run);
    if (run === 1) {
      await journal.flush();
      await crash();
    } else {
      await journal.close();
    }
    causes.push((await read(journal)).gaps.map(({ cause }) => cause).join(' '));
  }
  expect(causes).toEqual(['', 'stopped', 'stopped restart']);
});

it('reads the end of a journal without a checkpoint, group numbers of trimmed groups too', async () => {
  const first = await open();
  const group = openGroup(first);
  addSeries(group, 'm');
  write(group, 0, 1);
  await first.flush();
  await lmdb.trimJournal(first.lease, { epoch: 1, sequence: 99 });
  await crash();
  const second = await open();
  const next = openGroup(second);
  addSeries(next, 'm');
  write(next, 60_000, 1);
  await second.flush();
  expect(committed.at(-1)).toMatchObject({ group: 2, sequence: 4 });
  await second.close();
});
