/** What may be lost before a kill, and what not: evidence written by hand. */
import { expect, it } from 'vitest';
import type { Answered, CommitLine, Evidence, JournalEvidence, Kill } from './evidence.js';
import { latenessMs, lostFaults, overdueMs } from './loss.js';
import type { Frame } from './oracle.js';

const T = 1_800_000_000_000;
const INTERVAL = 200;
const SENT = T + 10_000;

/** `b1 5000`: commit 1 begins at T + 5000; `e1 5010`: it is synced. */
function commitsOf(text: string): CommitLine[] {
  return text.split(', ').map((line) => {
    const [, what, sequence, at] = /^([be])(\d+) (\d+)$/.exec(line)!;
    const position = { epoch: 1, sequence: Number(sequence) };
    return { at: T + Number(at), isEnd: what === 'e', position };
  });
}

it('tells how long overdue a commit was', () => {
  const check = (asked: number, log: string, expected: number, _why: string) =>
    expect(overdueMs(T + asked, { sent: SENT, commits: commitsOf(log) }), log).toBe(expected);
  check(9500, 'b1 9000, e1 9010', -500, 'it waits since half a second');
  check(8900, 'b1 8800, e1 8810', 100, 'it waited for more than a second');
  check(8850, 'b1 8800, e1 8990', 10, 'the timer runs from the end of the commit before');
  check(8500, 'b1 9000, e1 9010', 500, 'that commit would have held it');
  check(8990, 'b1 9000, e1 9010', 10, 'perhaps it was there just after its begin');
  check(8500, 'b1 8000, e1 8010, b2 9400', -100, 'its commit runs, and had begun in time');
  check(8500, 'b1 8000, e1 8010, b2 9600', 100, 'its commit runs, and had begun too late');
  check(9000, 'b1 8000, e1 8010, b2 8500', Number.NEGATIVE_INFINITY, 'a commit runs and runs');
  check(8600, 'b1 8500, e1 8550, b2 9700', 100, 'nothing waited before it');
});

/** Three targets, asked as they should be up to `until`. */
function answers(until: number): Answered[] {
  const all: Answered[] = [];
  for (let at = 0; at < until; at += INTERVAL) {
    for (const [i, target] of ['0', '1', 'om'].entries()) {
      all.push({ target, number: at / INTERVAL, at: T + at + i, body: '' });
    }
  }
  return all;
}

const kill = (commits: string, sent = SENT): Kill => ({
  ...{ started: T + 1000, sent, at: sent, commits: commitsOf(commits) },
});

it('tells how late the event loop may have been', () => {
  const check = (until: number, sent: number, expected: number) =>
    expect(latenessMs(kill('b1 1', T + sent), answers(until), INTERVAL)).toBe(expected);
  check(10_000, 10_000, 0);
  check(9000, 10_000, 1000);
  check(500, 3000, 2000); // it never asked
});

const NAME = JSON.stringify([['__name__', 'scrape_number']]);
const UP = JSON.stringify([['__name__', 'up']]);

/** A leaf that journalled the scrapes up to number `last`, and all after the kill. */
function evidence(last: number, more: Partial<JournalEvidence>, failed: Frame[] = []): Evidence {
  const answered = answers(10_000).filter(({ target }) => target === '0');
  const frames: Frame[] = answered
    .filter(({ number }) => number <= last)
    .map(({ number, at }) => {
      const [position, values] = [{ epoch: 1, sequence: number }, new Map([[NAME, number]])];
      return { position, time: at, target: '0', values, stale: [] };
    });
  const [leaf, intervalMs] = ['leaf', INTERVAL];
  const journal = { leaf, clockOffset: 0, intervalMs, kills: [], gaps: [], ...more };
  return {
    window: { from: T, to: T + 10_100 },
    ...{ keptFrom: 0, answered, views: [], leaves: [], parents: [], stepTimes: [] },
    journals: [{ ...journal, frames: [...frames, ...failed] } as unknown as JournalEvidence],
  };
}

it('lets a kill cost what waited for its commit, and no more', () => {
  const gaps = [{ cause: 'restart', from: T + 7000, to: T + 10_500 }];
  const check = (last: number, log: string, expected: RegExp | '') => {
    const faults = lostFaults(evidence(last, { gaps, kills: [kill(log)] })).join('\n');
    if (expected === '') expect(faults).toBe('');
    else expect(faults).toMatch(expected);
  };
  check(45, 'b1 9100, e1 9150', '');
  check(40, 'b1 8100, e1 8150, b2 9100', ''); // that commit was never synced
  check(40, 'b1 8100, e1 8150', /overdue by 800 ms/);
  check(40, 'b1 9100, e1 9150', /overdue by 900 ms/); // it should have held them
  check(30, 'b1 9100, e1 9150', /: no gap, no up 0/); // the gap does not reach so far
  expect(lostFaults(evidence(45, { gaps: [], kills: [kill('b1 9100, e1 9150')] })).length).toBe(4);
  expect(lostFaults(evidence(45, { gaps })).join('\n')).toMatch(/no gap, no up 0/);
});

it('lets a scrape be the up 0 that was under way when it was asked for', () => {
  const failed = (begun: number): Frame => {
    const position = { epoch: 1, sequence: 1000 };
    return { position, time: T + begun, target: '0', values: new Map([[UP, 0]]), stale: [] };
  };
  const check = (frames: Frame[], faults: number) => {
    expect(lostFaults(evidence(47, {}, frames)).length).toBe(faults);
  };
  check([failed(9600), failed(9800)], 0);
  check([failed(9401), failed(9402)], 0); // it answered when nobody waited any more
  check([failed(9600)], 1); // one for each
  check([failed(9300), failed(9800)], 1); // one after it was answered
  check([failed(9600), failed(9820)], 1); // that one began later
  check([], 2);
});
