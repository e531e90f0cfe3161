import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  CanopyError,
  type Family,
  type GroupWriter,
  type JournalEntry,
  type Ledger,
  SampleState,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { type EmbeddedStore, openEmbeddedStore } from '../embedded/embedded-store.js';
import { FlakyStore } from '../testing/flaky-store.js';
import { systemClock } from '../testing/fixtures.js';
import { type ReadJournal, readJournal } from '../testing/journal-reader.js';
import { JournalWriter } from './journal-writer.js';
import type { JournalWriterOptions } from './options.js';

const BASE = 1_700_000_000_000;
const at = (ms: number) => asTime(BASE + ms);
const DOWN = new CanopyError('storage_unavailable', 'down');

let path: string;
let lmdb: EmbeddedStore;
let store: FlakyStore;
let clock: VirtualClock;
let committed: JournalEntry[];
let ledgers: Ledger[];
let messages: string[];
/** Debug messages, with the sequence they name. */
let commits: string[];

const openStore = async (): Promise<void> => {
  lmdb = await openEmbeddedStore({
    path,
    maxBytes: 64 * 1024 * 1024,
    clock: systemClock,
    log: () => {},
    onCorrupt: () => {},
  });
  store = new FlakyStore(lmdb);
};

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'canopy-journal-'));
  clock = new VirtualClock(BASE);
  committed = [];
  ledgers = [];
  messages = [];
  commits = [];
  await openStore();
});
afterEach(async () => {
  await lmdb[Symbol.asyncDispose]();
  await rm(path, { recursive: true, force: true });
});

const open = (more: Partial<JournalWriterOptions> = {}): Promise<JournalWriter> =>
  JournalWriter.open({
    store,
    clock,
    randomBytes,
    owner: 'test',
    leaseTtl: asDuration(10_000),
    commitInterval: asDuration(1000),
    commitBytes: 1024 * 1024,
    keyFrameEvery: 5,
    queueBytesMax: 1024 * 1024,
    onCommitted: (_ref, entries, ledger) => {
      committed.push(...entries);
      ledgers.push(structuredClone(ledger));
    },
    completeUpTo: () => clock.now(),
    log: (level, message, fields) => {
      if (level === 'debug') commits.push(`${message}: ${String(fields?.sequence)}`);
      else messages.push(message);
    },
    pathIdentity: '',
    ...more,
  });

const openGroup = (
  journal: JournalWriter,
  job = 'a',
  kind: 'aligned' | 'loose' = 'aligned',
): GroupWriter =>
  journal.openGroup({
    kind,
    target: labelsFromObject({ job }),
    scrapeUrl: `http://${job}/`,
    interval: asDuration(5000),
  });
const addSeries = (group: GroupWriter, ...names: string[]): void => {
  for (const name of names) group.addSlot(labelsFromObject({ __name__: name }), -1);
};
/** Values by slot; undefined is no sample. */
const write = (group: GroupWriter, ms: number, ...row: Array<number | 'stale' | undefined>) => {
  const states = row.map((value) =>
    value === undefined ? SampleState.none : value === 'stale' ? SampleState.stale : 1,
  );
  const values = row.map((value) => (typeof value === 'number' ? value : 0));
  group.write(at(ms), Uint8Array.from(states), Float64Array.from(values));
};
const read = (journal: JournalWriter): Promise<ReadJournal> => readJournal(lmdb, journal.ref, BASE);

/** As after kill -9: nothing is said to the journal, the store is opened anew. */
const crash = async (): Promise<void> => {
  await lmdb[Symbol.asyncDispose]();
  await openStore();
};

describe('JournalWriter', () => {
  it('writes layouts before the frames that need them, and tells what is synced', async () => {
    const journal = await open();
    const group = openGroup(journal);
    const family: Family = { name: 'm', type: 'gauge', help: 'h', unit: '' };
    expect(group.addFamily(family)).toBe(0);
    expect(group.addSlot(labelsFromObject({ __name__: 'm' }), 0)).toBe(0);
    write(group, 0, 1);
    write(group, 5000, 1);
    addSeries(group, 'n');
    write(group, 10_000, 'stale', 7);
    expect(committed).toEqual([]);
    await journal.flush();
    expect(committed.map(({ kind, key }) => (key ? -kind : kind))).toEqual([1, -2, 2, 1, 2]);
    const { frames, layouts, gaps } = await read(journal);
    expect(frames).toEqual(['a 0 m=1', 'a 5000 m=1', 'a 10000 m=stale n=7']);
    expect(layouts.map(({ version, slotCount }) => [version, slotCount])).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(layouts[0].families).toEqual([family]);
    expect(gaps).toEqual([]);
    expect(journal.ledger).toMatchObject({ frames: 3, samples: 4, gapsTotal: 0 });
    expect(journal.ledger.watermark).toBe(BASE);
    await journal.close();
  });

  it('commits after the interval, or at once when enough waits', async () => {
    const journal = await open({ commitBytes: 600 });
    const group = openGroup(journal);
    addSeries(group, 'm');
    write(group, 0, 1);
    await clock.advance(999);
    expect(store.commits.length).toBe(0);
    await clock.advance(1);
    expect(store.commits.length).toBe(1);
    await journal.flush();
    for (let i = 1; i < 60; i++) write(group, i * 5000, i);
    await clock.advance(0);
    expect(store.commits.length).toBeGreaterThan(1);
    await journal.flush();
    for (const { entries } of store.commits) {
      const bytes = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
      expect(bytes).toBeLessThanOrEqual(600);
    }
    expect((await read(journal)).frames.length).toBe(60);
    await journal.close();
  });

  it('writes a key frame every so many, and after a long silence', async () => {
    const journal = await open();
    const group = openGroup(journal);
    addSeries(group, 'm');
    for (let i = 0; i < 12; i++) write(group, i * 5000, i);
    write(group, 3_600_000, 1);
    await journal.flush();
    const keys = committed.filter(({ key }) => key).map(({ time }) => time - BASE);
    expect(keys).toEqual([0, 25_000, 50_000, 3_600_000]);
    journal.requestKeyFrames();
    write(group, 3_605_000, 1);
    write(group, 3_610_000, 1);
    await journal.flush();
    expect(committed.slice(-2).map(({ key }) => key)).toEqual([true, false]);
    await journal.close();
  });

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

  it('writes a large layout in records of a bounded size', async () => {
    const journal = await open({ queueBytesMax: 64 * 1024 * 1024 });
    const group = journal.openGroup({
      ...{ kind: 'aligned', target: labelsFromObject({ job: 'a' }), scrapeUrl: 'u' },
      interval: asDuration(5000),
    });
    const families = Array.from({ length: 20_000 }, (_, i) =>
      group.addFamily({ name: `f${i}`, type: 'gauge', help: '', unit: '' }),
    );
    const count = 40_000;
    for (let i = 0; i < count; i++) {
      group.addSlot(labelsFromObject({ __name__: 'm', i: String(i) }), families[i % 20_000]);
    }
    const states = new Uint8Array(count).fill(SampleState.value);
    const values = Float64Array.from(states, (_, i) => i);
    group.write(asTime(BASE), states, values, '');
    await journal.flush();
    const { layouts, frames } = await read(journal);
    expect(frames).toHaveLength(1);
    expect(
      layouts.map(({ version, firstSlot, slotCount }) => [version, firstSlot, slotCount]),
    ).toEqual([
      [1, 0, 0],
      [2, 0, 16_384],
      [3, 16_384, 32_768],
      [4, 32_768, count],
    ]);
    expect(layouts.flatMap((layout) => layout.families).map(({ name }) => name)).toEqual(
      families.map((index) => `f${index}`),
    );
    expect(layouts.flatMap(({ slots }) => slots).at(-1)).toEqual({
      labels: labelsFromObject({ __name__: 'm', i: '39999' }),
      family: 19_999,
    });
    await journal.close();
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
    const again = await gapsAfter((journal) => journal.expectScrapes(at(32_000)));
    expect(again.slice(1)).toMatchObject([{ group: 0, to: at(30_000), cause: 'restart' }]);
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
    expect(told).toEqual([
      { group: 0, from: reached, to: at(60_000), cause: 'restart', frames: -1 },
    ]);
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

  it('tries a commit again until its outcome is known', async () => {
    const journal = await open();
    const group = openGroup(journal);
    addSeries(group, 'm');
    store.failBefore = DOWN;
    write(group, 0, 1);
    await clock.advance(1000);
    expect(journal.health.healthy).toBe(false);
    write(group, 5000, 2);
    store.failBefore = undefined;
    store.failAfter = DOWN;
    await advanceUntil(() => store.commits.length >= 3);
    expect(committed).toEqual([]);
    store.failAfter = undefined;
    await advanceUntil(() => journal.health.healthy);
    await journal.flush();
    expect(committed.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect((await read(journal)).frames).toEqual(['a 0 m=1', 'a 5000 m=2']);
    expect(messages).toEqual([
      'the store does not take journal commits: down',
      'the store takes journal commits again',
    ]);
    // What a kill would have cost at any moment can be read from these: nothing is synced that did not begin.
    expect(commits.filter((text) => text.includes('synced'))).toEqual([
      'a commit is synced: 2',
      'a commit is synced: 3',
    ]);
    expect(commits.indexOf('a commit begins: 3')).toBe(
      commits.indexOf('a commit is synced: 2') + 1,
    );
    await journal.close();
  });

  it('drops the oldest over its limit, names the gaps, and everything kept decodes', async () => {
    const journal = await open({ queueBytesMax: 1500, keyFrameEvery: 10 });
    const groups = ['a', 'b'].map((job) => openGroup(journal, job));
    for (const group of groups) addSeries(group, 'm');
    for (const group of groups) write(group, 0, 0);
    await journal.flush();
    store.failBefore = new CanopyError('storage_full', 'full');
    let frames = 2;
    for (let i = 1; i <= 100; i++) {
      for (const group of groups) write(group, i * 5000, i);
      frames += 2;
      if (i === 1) await clock.advance(1000);
    }
    expect(journal.stats.framesDropped).toBeGreaterThan(20);
    expect(journal.stats.queueBytes).toBeLessThan(1700);
    store.failBefore = undefined;
    await advanceUntil(() => journal.health.healthy);
    for (const group of groups) write(group, 600_000, 7);
    await journal.flush();
    frames += 2;
    const found = await read(journal);
    expect(found.undecodable).toBe(0);
    expect(found.frames.length + journal.stats.framesDropped).toBe(frames);
    const named = found.gaps.reduce((sum, gap) => sum + gap.frames, 0);
    expect(named).toBe(journal.stats.framesDropped);
    expect(new Set(found.gaps.map(({ cause }) => cause))).toEqual(new Set(['refused']));
    for (const frame of found.frames) {
      const [, time, sample] = frame.split(' ');
      const value = time === '600000' ? 7 : Number(time) / 5000;
      expect(sample).toBe(`m=${value}`);
    }
    // Every step between two kept frames is an interval, or lies in a named gap.
    for (const [number, job] of [
      [1, 'a'],
      [2, 'b'],
    ] as const) {
      const times = found.frames
        .filter((f) => f.startsWith(job))
        .map((f) => Number(f.split(' ')[1]));
      for (let i = 1; i < times.length; i++) {
        const named = found.gaps.some(
          (gap) =>
            gap.group === number && gap.from - BASE === times[i - 1] && gap.to - BASE === times[i],
        );
        expect(times[i] - times[i - 1] === 5000 || named || times[i] === 600_000).toBe(true);
      }
    }
    expect(journal.ledger.refused).toEqual({ queue_full: journal.stats.framesDropped });
    await journal.close();
  });

  it('refuses a small step back of the clock, begins a new run after a large one', async () => {
    const journal = await open();
    const group = openGroup(journal);
    addSeries(group, 'm');
    write(group, 100_000, 1);
    write(group, 100_000, 2);
    write(group, 95_000, 3);
    write(group, 94_999, 4);
    write(group, 99_999, 5);
    await journal.flush();
    const { frames, gaps, layouts } = await read(journal);
    expect(frames).toEqual(['a 100000 m=1', 'a 94999 m=4', 'a 99999 m=5']);
    expect(gaps).toEqual([
      { group: 1, from: at(100_000), to: at(94_999), cause: 'clock', frames: 0 },
    ]);
    expect(layouts.map(({ meta }) => meta.continues)).toEqual([0, 1]);
    expect(journal.stats.framesRefusedByClock).toBe(2);
    await journal.close();
  });

  it('rebases: kept slots under new numbers in a group that continues the old one', async () => {
    const journal = await open();
    const group = openGroup(journal);
    group.addFamily({ name: 'f', type: 'counter', help: '', unit: '' });
    addSeries(group, 'p', 'q', 'r', 's');
    write(group, 0, 1, 2, 3, 4);
    expect([...group.rebase(Uint8Array.of(0, 1, 0, 1))]).toEqual([-1, 0, -1, 1]);
    expect(group.slotCount).toBe(2);
    addSeries(group, 't');
    write(group, 5000, 20, 40, 50);
    await journal.flush();
    const { frames, layouts } = await read(journal);
    expect(frames).toEqual(['a 0 p=1 q=2 r=3 s=4', 'a 5000 q=20 s=40 t=50']);
    expect(layouts[1]).toMatchObject({ version: 1, firstSlot: 0, firstFamily: 0, slotCount: 3 });
    expect(layouts[1].meta.continues).toBe(1);
    expect(layouts[1].families.length).toBe(1);
    await journal.close();
  });

  it('gives series their families afterwards, in a group that continues the old one', async () => {
    const journal = await open();
    const group = openGroup(journal);
    addSeries(group, 'p', 'q');
    write(group, 0, 1, 2);
    group.addFamily({ name: 'f', type: 'counter', help: '', unit: '' });
    group.retype(Int32Array.of(-1, 0));
    write(group, 5000, 3, 4);
    await journal.flush();
    const { frames, layouts, gaps } = await read(journal);
    expect(frames).toEqual(['a 0 p=1 q=2', 'a 5000 p=3 q=4']);
    expect(layouts[1].slots.map(({ family }) => family)).toEqual([-1, 0]);
    expect([layouts[1].meta.continues, gaps]).toEqual([1, []]);
    await journal.close();
  });

  it('writes loose groups', async () => {
    const journal = await open();
    const group = openGroup(journal, 'l', 'loose');
    addSeries(group, 'm', 'n');
    const times = Float64Array.of(at(-5000), at(-9000), at(3));
    const states = Uint8Array.of(1, 1, SampleState.stale);
    group.writeLoose(3, Uint32Array.of(1, 0, 1), times, states, Float64Array.of(1.5, 2, 0));
    await journal.flush();
    expect((await read(journal)).frames).toEqual(['l 0 n@-5000=1.5 m@-9000=2 n@3=stale']);
    expect(journal.ledger.samples).toBe(3);
    await journal.close();
  });

  it('continues a group that was closed and opened again', async () => {
    const journal = await open();
    const first = openGroup(journal);
    addSeries(first, 'm');
    write(first, 0, 1);
    first.close();
    const second = openGroup(journal);
    addSeries(second, 'm');
    write(second, 5000, 2);
    await journal.flush();
    const { layouts, gaps } = await read(journal);
    expect(layouts[1].meta.continues).toBe(1);
    expect(gaps).toEqual([]);
    await journal.close();
  });

  it('commits at once for somebody who is about to read, no more than four times an interval', async () => {
    const journal = await open();
    const group = openGroup(journal);
    addSeries(group, 'm');
    write(group, 0, 1);
    await journal.commitForReader();
    expect((await read(journal)).frames).toEqual(['a 0 m=1']);
    write(group, 5000, 2);
    await journal.commitForReader();
    expect(journal.stats.commits).toBe(1);
    await clock.advance(250);
    await journal.commitForReader();
    expect((await read(journal)).frames).toEqual(['a 0 m=1', 'a 5000 m=2']);
    await clock.advance(250);
    await journal.commitForReader();
    expect(journal.stats.commits).toBe(2); // Nothing waits.
    // A store that does not take it is tried once, and then by the journal's own time.
    store.failBefore = DOWN;
    write(group, 10_000, 3);
    await journal.commitForReader();
    await journal.commitForReader();
    expect(store.commits.length).toBe(3);
    store.failBefore = undefined;
    await clock.advance(1000);
    await vi.waitFor(() => expect(journal.ledger.frames).toBe(3));
    await journal.close();
  });

  it('starts a new epoch for a reader that has seen more', async () => {
    const journal = await open();
    const group = openGroup(journal);
    addSeries(group, 'm');
    write(group, 0, 1);
    await journal.flush();
    write(group, 5000, 2);
    journal.breakEpoch({ epoch: 4, sequence: 77 });
    write(group, 10_000, 3);
    await journal.flush();
    expect(journal.position).toEqual({ epoch: 5, sequence: 3 });
    const { frames, gaps } = await read(journal);
    expect(frames).toEqual(['a 0 m=1', 'a 10000 m=3']);
    expect(gaps).toEqual([{ group: 1, from: at(0), to: at(10_000), cause: 'refused', frames: 1 }]);
    journal.breakEpoch({ epoch: 3, sequence: 1 }); // Known already.
    write(group, 15_000, 4);
    await journal.flush();
    expect(journal.position.epoch).toBe(5);
    await journal.close();
  });

  it('keeps its id where the store was wiped before its first commit', async () => {
    const first = await open();
    await store.putDocument('journal/id', undefined);
    await store.releaseLease(first.lease);
    const group = openGroup(first);
    addSeries(group, 'm');
    write(group, 0, 1);
    await first.flush();
    expect(ledgers.length).toBe(1);
    await crash();
    const second = await open();
    expect(second.id).toBe(first.id);
    await second.close();
  });

  it('starts a new epoch when the store lost the journal', async () => {
    const journal = await open();
    const group = openGroup(journal);
    addSeries(group, 'm');
    write(group, 0, 1);
    await journal.flush();
    await lmdb.dropJournal(journal.lease);
    write(group, 5000, 2);
    await clock.advance(1000);
    await advanceUntil(() => journal.position.epoch === 2);
    write(group, 10_000, 3);
    await journal.flush();
    const { frames, gaps } = await read(journal);
    expect(frames).toEqual(['a 10000 m=3']);
    expect(gaps.map(({ group, cause, frames }) => [group, cause, frames])).toEqual([
      [0, 'restart', -1],
      [1, 'refused', 1],
    ]);
    await journal.close();
  });

  it('gives no number twice where the store lost some while nobody wrote', async () => {
    const seen = new Set<string>();
    const mayGoBack = true;
    for (let run = 0; run < 3; run++) {
      const journal = await open({ mayGoBack });
      const group = openGroup(journal);
      addSeries(group, 'm');
      write(group, run * 60_000, run);
      await journal.flush();
      for (const { epoch, sequence } of committed.splice(0)) {
        expect(seen).not.toContain(`${epoch}-${sequence}`);
        seen.add(`${epoch}-${sequence}`);
      }
      // Killed; what it has written is gone, its name is not.
      await lmdb.dropJournal(journal.lease);
      await crash();
      await clock.advance(60_000);
    }
    const last = await open({ mayGoBack });
    await last.close();
    expect(seen.size).toBe(6);
  });

  it('signs cursors with one key for all of its life, which its id does not tell', async () => {
    const first = await open();
    const key = Buffer.from(first.cursorKey).toString('hex');
    expect([key.length, first.id.length]).toEqual([32, 32]);
    expect(key).not.toBe(first.id);
    await first.close();
    const second = await open();
    expect([second.id, second.cursorKey]).toEqual([first.id, first.cursorKey]);
    await second.close();
    await store.putDocument('journal/id', undefined);
    const other = await open();
    expect(other.cursorKey).not.toEqual(first.cursorKey);
    await other.close();
  });

  it('begins above all that readers may have where it is from before there were keys', async () => {
    const first = await open();
    const group = openGroup(first);
    addSeries(group, 'm');
    write(group, 0, 1);
    await first.close();
    await store.putDocument('journal/id', JSON.stringify({ id: first.id, place: '' }));
    const second = await open();
    expect(second.id).toBe(first.id);
    write(openGroup(second), 60_000, 2);
    await second.flush();
    expect(second.position.epoch).toBe(Math.floor(clock.now() / 1000));
    await second.close();
    const third = await open();
    expect([third.cursorKey, third.position.epoch]).toEqual([
      second.cursorKey,
      second.position.epoch,
    ]);
    await third.close();
  });

  it('makes a new id in a copied folder; the old journal stays readable', async () => {
    const first = await open({ pathIdentity: 'here' });
    const group = openGroup(first);
    addSeries(group, 'm');
    write(group, 0, 1);
    await first.close();
    const same = await open({ pathIdentity: 'here' });
    await same.close();
    expect(same.id).toBe(first.id);
    const copy = await open({ pathIdentity: 'there' });
    await copy.close();
    expect(copy.id).not.toBe(first.id);
    expect(messages.some((message) => message.includes('copy'))).toBe(true);
    expect((await read(first)).frames).toEqual(['a 0 m=1']);
  });

  it('ends within one try when the store is away, and says what is lost', async () => {
    const journal = await open();
    const group = openGroup(journal);
    addSeries(group, 'm');
    write(group, 0, 1);
    store.failBefore = DOWN;
    await journal.close();
    expect(messages.at(-1)).toBe('the store did not take the last records');
    store.failBefore = undefined;
  });

  it('is refused while another owner writes the journal', async () => {
    const journal = await open();
    let refusal: unknown;
    open({ owner: 'other' }).catch((error: unknown) => {
      refusal = error;
    });
    await advanceUntil(() => refusal !== undefined);
    expect(refusal).toMatchObject({ code: 'storage_locked' });
    await journal.close();
  });
});

async function advanceUntil(done: () => boolean): Promise<void> {
  const end = Date.now() + 5000;
  while (!done()) {
    if (Date.now() > end) throw new Error('did not happen');
    await clock.advance(500);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

it('names what the store has lost, once, in the ledger of the next commit', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'x');
  const gap = { group: 0, from: at(0), to: at(100), cause: 'corrupt' as const, frames: 1 };
  write(group, 0, 1);
  const flushed = journal.flush();
  journal.nameGap(gap);
  await flushed;
  journal.nameGap(gap);
  write(group, 5000, 2);
  await journal.flush();
  expect(ledgers.at(-1)).toMatchObject({ gaps: [gap], gapsTotal: 1, gapsByCause: { corrupt: 1 } });
  await journal.close();
  const again = await open();
  again.nameGap({ ...gap, from: at(50) });
  expect(again.ledger.gaps.filter(({ cause }) => cause === 'corrupt')).toEqual([gap]);
  await again.close();
});

it('writes nothing any more when another process writes the journal', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'x');
  write(group, 0, 1);
  await journal.flush();
  write(group, 5000, 2);
  const before = await lmdb.journal(journal.ref);
  await journal.close(true);
  expect(await lmdb.journal(journal.ref)).toEqual(before);
  expect(await lmdb.getDocument('journal/clean')).toBe(undefined);
});
