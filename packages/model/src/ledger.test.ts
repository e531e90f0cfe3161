import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import {
  JOBS_MAX,
  type Ledger,
  type LedgerWindow,
  PendingGaps,
  type TrailLevel,
  addTime,
  addToWindow,
  balance,
  emptyJob,
  emptyLedger,
  jobIn,
  mergeWindows,
  missingFrames,
  parseLedger,
} from './ledger.js';
import type { GapRecord } from './journal.js';
import { asTime } from './units.js';

const gap = (from: number, to: number): GapRecord => ({
  ...{ group: 0, from: asTime(from), to: asTime(to) },
  ...{ cause: 'corrupt', frames: 1 },
});

it('reads a ledger of any version, and names one that cannot be read', () => {
  const check = (text: string, expected: Partial<Ledger>) =>
    expect(parseLedger(text), text).toEqual({ ...emptyLedger(), ...expected });
  check('', {});
  check('{"frames":3}', { frames: 3 });
  const named = { gaps: [{ ...gap(0, 0), frames: -1 }], gapsTotal: 1, gapsByCause: { corrupt: 1 } };
  check('{"frames":3,"gaps":[}', named);
  check('{"frames":3,"later":{"of":["a version"]}}', {
    frames: 3,
    later: { of: ['a version'] },
  } as never);
  for (const text of [
    'null',
    '7',
    '[]',
    '{"frames":"3"}',
    '{"gaps":{}}',
    '{"jobs":[]}',
    '{"jobs":null}',
  ]) {
    check(text, named);
  }
});

it('names a gap once, whatever neighbours it was read with', () => {
  const pending = new PendingGaps();
  for (const found of [gap(1000, 2000), gap(1500, 1501), gap(5000, 6000)]) pending.add(found);
  const ledger = emptyLedger();
  pending.nameIn(ledger);
  pending.nameIn(ledger);
  expect(ledger.gaps).toEqual([gap(1000, 2000), gap(5000, 6000)]);
  pending.forget(ledger);
  const next = emptyLedger();
  pending.nameIn(next);
  expect(next.gaps).toEqual([]);
});

it('knows the newest frame, and how late one came', () => {
  const ledger = emptyLedger();
  for (const time of [5000, 6000, 4500, 6000, 5500, 9000]) addTime(ledger, time);
  expect(ledger).toMatchObject({ newest: 9000, late: 1500 });
});

it('has the text of the format page', () => {
  const ledger = emptyLedger();
  Object.assign(ledger, { frames: 3, samples: 12, bytes: 150, watermark: 1_700_000_010_000 });
  ledger.refused = { sample_limit: 1, clock_back: 1 };
  const job = jobIn(ledger, 'node');
  Object.assign(job, { scraped: 3, journalled: 1, frames: 3, samples: 12 });
  job.refused = { ...ledger.refused };
  for (const time of [0, 5000, 10_000].map((ms) => 1_700_000_000_000 + ms)) {
    addTime(ledger, time);
    addToWindow(ledger.windows, time, 4);
  }
  const page = readFileSync(new URL('ledger.format.md', import.meta.url), 'utf8');
  const example = /```json\n(.*)\n```/.exec(page)![1];
  expect(JSON.stringify(ledger)).toBe(example);
  expect(parseLedger(example)).toEqual(ledger);
});

it('keeps windows of two hours, then days, within bounds, with nothing counted twice', () => {
  const windows: LedgerWindow[] = [];
  const hour = 3_600_000;
  for (let time = 0; time < 60 * 24 * hour; time += hour) addToWindow(windows, time, 10);
  addToWindow(windows, 59 * 24 * hour, 10); // late
  addToWindow(windows, 3 * hour, 10); // very late
  const frames = windows.reduce((sum, window) => sum + window[2], 0);
  expect(frames).toBe(60 * 24 + 2);
  expect(windows.filter(([, count]) => count === 1).length).toBeLessThanOrEqual(24);
  expect(windows[0]).toEqual([0, 12, 25, 250]);
  for (let i = 1; i < windows.length; i++) {
    expect(windows[i][0]).toBe(windows[i - 1][0] + windows[i - 1][1]);
  }
  for (let time = 60 * 24 * hour; time < 900 * 24 * hour; time += 12 * hour) {
    addToWindow(windows, time, 1);
  }
  expect(windows.length).toBeLessThanOrEqual(90);
});

it('merges windows that were told later', () => {
  const check = (known: LedgerWindow[], told: LedgerWindow[], expected: LedgerWindow[]) =>
    expect(mergeWindows(known, told)).toEqual(expected);
  check(
    [[1, 1, 5, 5]],
    [[2, 1, 1, 1]],
    [
      [1, 1, 5, 5],
      [2, 1, 1, 1],
    ],
  );
  check(
    [
      [1, 1, 5, 5],
      [2, 1, 1, 1],
    ],
    [[2, 1, 3, 3]],
    [
      [1, 1, 5, 5],
      [2, 1, 3, 3],
    ],
  ); // grown
  check(
    [
      [0, 1, 5, 5],
      [1, 1, 1, 1],
    ],
    [[0, 12, 9, 9]],
    [[0, 12, 9, 9]],
  ); // a day by now
});

it('names what a source has and the reader has not', () => {
  const level = (epoch: number, frames: number): TrailLevel => ({
    ...{ name: 'leaf', position: { epoch, sequence: frames }, frames, windows: [] },
    jobs: { node: { ...emptyJob(), frames } },
  });
  const ledger = emptyLedger();
  const told = (epoch: number, frames: number, stored: number) => {
    jobIn(ledger, 'node').frames = stored;
    balance(ledger, [level(epoch, frames)]);
    return missingFrames(ledger, 'node');
  };
  expect(told(1, 100, 60)).toBe(0); // 40 were there before it came
  expect(ledger.balance!.before).toEqual({ node: 40 });
  expect(told(1, 110, 70)).toBe(0);
  expect(told(1, 130, 80)).toBe(10);
  expect(told(1, 131, 81)).toBe(10);
  expect(told(2, 90, 82)).toBe(0); // the source went back: another epoch, another beginning
  balance(ledger, []);
  expect(missingFrames(ledger, 'node')).toBe(0);
});

it('tells at most so many jobs apart, of names of bounded length', () => {
  const ledger = emptyLedger();
  for (const job of ['__proto__', 'x'.repeat(201), 'x'.repeat(200)]) jobIn(ledger, job).frames++;
  for (let i = 0; i < 1500; i++) jobIn(ledger, `job ${i}`).frames++;
  expect(Object.keys(ledger.jobs).length).toBe(JOBS_MAX);
  expect(ledger.jobs[''].frames).toBe(2 + 1500 - (JOBS_MAX - 2));
  expect(JSON.parse(JSON.stringify(ledger))).toEqual(ledger);
});

it('widens a gap that goes on, and tells those of many groups as one', () => {
  const of = (group: number, from: number, to: number, frames: number): GapRecord => ({
    ...gap(from, to),
    ...{ group, frames },
  });
  const ledger = emptyLedger();
  const check = (found: GapRecord, ...expected: GapRecord[]) => {
    const pending = new PendingGaps();
    pending.add(found);
    pending.nameIn(ledger);
    pending.forget(ledger);
    expect(pending.gaps).toEqual([]);
    expect(ledger.gaps).toEqual(expected);
  };
  check(of(1, 0, 11, 1), of(1, 0, 11, 1));
  check(of(1, 0, 21, 2), of(1, 0, 21, 2)); // the same, told again with one more
  check(of(1, 20, 31, 1), of(1, 0, 31, 3)); // goes on from there
  check(of(1, 5, 8, 1), of(1, 0, 31, 3)); // known
  check(of(2, 5, 8, 1), of(1, 0, 31, 3), of(2, 5, 8, 1));
  check(of(1, 40, 50, 1), of(1, 0, 31, 3), of(2, 5, 8, 1), of(1, 40, 50, 1));
  expect(ledger).toMatchObject({ gapsTotal: 3, gapsByCause: { corrupt: 3 } });
  const pending = new PendingGaps();
  for (let group = 1; group <= 100; group++) pending.add(of(group, group, 200 + group, 1));
  expect(pending.gaps.length).toBeLessThanOrEqual(33);
  const whole = pending.gaps.find(({ group }) => group === 0);
  expect(whole).toMatchObject({ from: 1, cause: 'corrupt' });
  pending.nameIn(emptyLedger());
  expect(Math.max(...pending.gaps.map(({ to }) => to))).toBe(300);
});
