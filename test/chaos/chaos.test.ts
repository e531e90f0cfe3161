/** Short forms of all scenarios, and proof that the checker would see what is wrong. */
import { type JobReport, type JournalReport, comparePositions } from '@canopy/model';
import { beforeAll, describe, expect, it } from 'vitest';
import { isWithout } from '../processes.js';
import { type ChaosResult, runChaos } from './chaos.js';
import { faultsOf } from './checker.js';
import { gapFaults } from './copies.js';
import type { Evidence, Kill, ParentEvidence } from './evidence.js';
import { SHARED_TARGET, scrapeNumber } from './frame-facts.js';
import type { EntryMark, Frame } from './oracle.js';
import { planOf } from './plan.js';
import { RANDOM, SCENARIOS } from './scenarios.js';

/** Of random kills, while the other scenarios are played; both parents are killed in each: 20 kills at least. */
const ROUNDS = 9;
const SEED = 1;

it('one seed gives one plan', () => {
  expect(planOf(5, 50)).toEqual(planOf(5, 50));
  expect(planOf(5, 50)).not.toEqual(planOf(6, 50));
  const rounds = planOf(5, 200);
  expect(rounds.filter(({ leaf }) => leaf !== undefined).length).toBeGreaterThan(10);
  expect(rounds.filter(({ parents }) => parents.redis.redis === 'flushed').length).toBeGreaterThan(
    1,
  );
});

describe('a hierarchy to which everything happens', () => {
  const noRedis = isWithout('redis');
  const played = SCENARIOS.filter(({ redis }) => !(noRedis && redis === true));
  let result: ChaosResult;
  beforeAll(async () => {
    result = await runChaos({
      ...{ scenarios: [RANDOM, ...played.map(({ name }) => name)], form: 'short', seed: SEED },
      stores: noRedis ? ['embedded'] : ['embedded', 'redis'],
      ...{
        roundsMax: ROUNDS,
        secondsMax: Number.POSITIVE_INFINITY,
        say: (line) => console.log(line),
      },
    });
  }, 900_000);

  it.each([RANDOM, ...played.map(({ name }) => name)])('%s', (name) => {
    expect(result.faults).toEqual([]);
    const { tally } = result.results.find((one) => one.name === name)!;
    expect(tally.checks).toBeGreaterThan(0);
    expect(tally.samples).toBeGreaterThan(0);
  });

  it('had something to disturb', () => {
    const { parentKills, leafKills, tilesStored, blocksSealed, bytesDropped } = result.counts;
    expect(parentKills).toBeGreaterThanOrEqual((noRedis ? 1 : 2) * (ROUNDS + 1));
    expect(leafKills).toBeGreaterThan(0);
    expect(Math.min(tilesStored, blocksSealed, bytesDropped)).toBeGreaterThan(0);
  });

  /** Canaries: what was judged well, with one thing changed, must be judged badly. */
  const spoilt = (change: (evidence: Spoilt) => void): string => {
    const evidence = structuredClone(
      result.evidence.findLast(({ journals }) => journals.length > 1)!,
    );
    change(new Spoilt(evidence));
    return faultsOf(evidence).join('\n');
  };
  it('what was not changed is judged well', () => expect(spoilt(() => {})).toBe(''));
  it('a step may look back at what is past the retention of a parent, and only then show nothing', () => {
    const found = (keptFrom: number): string =>
      spoilt(({ evidence, parent }) => {
        Object.assign(evidence, { keptFrom });
        const [, steps] = [...parent.steps].find(([key]) => key.includes('"__name__","constant"'))!;
        steps.delete(evidence.stepTimes.find((time) => steps.has(time))!);
      });
    expect(found(Number.POSITIVE_INFINITY)).toBe('');
    expect(found(0)).toMatch(/"constant".*absent in the step \d+, not \S+ of \d+;/);
  });
  it.each(CANARIES)('it is seen when %s', (_what, change, fault) => {
    expect(spoilt(change)).toMatch(fault);
  });
});

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Evidence, and some of its parts to be changed. */
class Spoilt {
  readonly evidence: Evidence;

  constructor(evidence: Evidence) {
    this.evidence = evidence;
  }

  get journal() {
    return this.evidence.journals[0] as Writable<Evidence['journals'][0]>;
  }

  get parent() {
    return this.evidence.parents[0] as Writable<ParentEvidence>;
  }

  get ledger() {
    return this.parent.copies[0].ledger as Writable<ParentEvidence['copies'][0]['ledger']>;
  }

  get report() {
    return this.parent.copies[0].report as Writable<JournalReport>;
  }

  get job() {
    return this.report.jobs[0] as Writable<JobReport>;
  }

  /** A scrape in the middle of the window that ended no series. */
  get frame() {
    const { frames } = this.journal;
    const isPlain = ({ target, stale, values }: Frame) =>
      target === '0' && stale.length === 0 && values.size > 10;
    return frames.filter(isPlain).at(-8) as Writable<Frame>;
  }

  /** In a frame of the journal. */
  key(name: string): string {
    return [...this.frame.values.keys()].find((key) => key.includes(`"__name__","${name}"`))!;
  }

  /** Samples of the parent's answer. */
  samples(name: string, n = '0') {
    const is = (key: string) =>
      key.includes(`"__name__","${name}"`) && key.includes(`["n","${n}"]`);
    return [...this.parent.samples].find(([key]) => is(key))![1];
  }

  /** The newest entry that the parent has counted, as it hands it on. */
  get mark() {
    const { ledger, marks } = this.parent.copies[0];
    const { position: end } = ledger;
    const isCounted = ({ position }: EntryMark) => comparePositions(position, end) <= 0;
    return marks.findLast(isCounted) as Writable<EntryMark>;
  }

  removeFrame(): void {
    const { frame } = this;
    this.journal.frames = this.journal.frames.filter((other) => other !== frame);
  }
}

/** A kill, and what the leaf's log has of the commit before it. */
function killed(
  sent: number,
  ...lines: ReadonlyArray<readonly [at: number, isEnd: boolean]>
): Kill {
  const position = { epoch: 0, sequence: 1 };
  const commits = lines.map(([at, isEnd]) => ({ at, isEnd, position }));
  return { started: sent - 9000, sent, at: sent, commits };
}

const CANARIES: ReadonlyArray<[string, (spoilt: Spoilt) => void, RegExp]> = [
  [
    'the parent lacks a sample',
    (spoilt) => {
      const { times, values } = spoilt.samples('constant');
      times.splice(-8, 1);
      values.splice(-8, 1);
    },
    /parent.*"constant".*missing at/,
  ],
  [
    'the parent has a sample twice',
    (spoilt) => {
      const { times, values } = spoilt.samples('constant');
      times.splice(-8, 0, times.at(-8)!);
      values.splice(-8, 0, values.at(-8)!);
    },
    /"constant".*twice/,
  ],
  [
    'a sample has moved by a millisecond',
    (spoilt) => void spoilt.samples('constant').times[5]++,
    /"constant".*never journalled/,
  ],
  [
    'the sign of a zero is lost',
    (spoilt) => {
      const { values } = spoilt.samples('special');
      values[values.findLastIndex((value) => Object.is(value, -0))] = 0;
    },
    /"special".*not 0 at/, // as a template prints -0
  ],
  [
    'a series ends one step late',
    ({ evidence, parent }) => {
      const [key, steps] = [...parent.steps].find(
        ([k]) => k.includes('now_and_then') && k.includes('["n","0"]'),
      )!;
      const { stepTimes } = evidence;
      const end = stepTimes.findIndex((time, i) => steps.has(time) && !steps.has(stepTimes[i + 1]));
      parent.steps.set(key, new Map(steps).set(stepTimes[end + 1], steps.get(stepTimes[end])!));
    },
    /"now_and_then".* in the step \d+, not absent/,
  ],
  [
    'a series ends one step early',
    ({ evidence, parent }) => {
      const [, steps] = [...parent.steps].find(([k]) => k.includes('now_and_then'))!;
      const { stepTimes } = evidence;
      steps.delete(
        stepTimes.findLast((time, i) => steps.has(time) && !steps.has(stepTimes[i + 1]))!,
      );
    },
    /"now_and_then".*absent in the step/,
  ],
  [
    'a mark of an end has moved to the next scrape',
    ({ journal }) => {
      const own = journal.frames.filter(({ target }) => target === '0');
      const isPlain = ({ stale, values }: Frame) => stale.length === 0 && values.size > 10;
      const from = own.findLastIndex(
        ({ stale }, i) => stale.length === 1 && i < own.length - 5 && isPlain(own[i + 1]),
      );
      const [frame, next] = own.slice(from) as Writable<Frame>[];
      next.stale = frame.stale;
      frame.stale = [];
    },
    /not ended, 0 at[^]*ended for nothing, 0 at/,
  ],
  [
    'a value is not the one that was answered',
    (spoilt) => void (spoilt.frame.values as Map<string, number>).set(spoilt.key('wave'), 0.5),
    /scrape 0 \d+: .*"wave".* is 0.5, was/,
  ],
  [
    'a scrape is journalled by half',
    (spoilt) => void (spoilt.frame.values as Map<string, number>).delete(spoilt.key('wave')),
    /scrape 0 \d+: .*"wave".* is undefined/,
  ],
  [
    'a failed scrape has left something',
    (spoilt) =>
      void (spoilt.frame.values as Map<string, number>).delete(spoilt.key('scrape_number')),
    /half a scrape/,
  ],
  ['a scrape that was answered is not there', (spoilt) => spoilt.removeFrame(), /no gap, no up 0/],
  [
    'a scrape is there twice',
    ({ journal, frame }) => {
      journal.frames = journal.frames.flatMap((one) => (one === frame ? [one, one] : [one]));
    },
    /journalled twice/,
  ],
  [
    'a scrape is journalled after a later one',
    ({ journal, frame }) => {
      const frames = journal.frames.filter((one) => one !== frame);
      const after = frames.findIndex(
        ({ target, time }) => target === frame.target && time > frame.time,
      );
      journal.frames = frames.toSpliced(after + 1, 0, frame);
    },
    /: 0 at \d+ after \d+/,
  ],
  [
    'a leaf other than the first lacks a sample',
    ({ evidence: { leaves } }) => {
      const { samples } = leaves.findLast((one) => one.samples.size > 0)!;
      const { times, values } = [...samples].find(([key]) => key.includes('"constant"'))![1];
      times.splice(-8, 1);
      values.splice(-8, 1);
    },
    /(near|ahead): .*"constant".*missing at/,
  ],
  [
    'a leaf other than the first ends a series one step late',
    ({ evidence: { leaves, stepTimes } }) => {
      const own = leaves.findLast((one) => one.samples.size > 0)!;
      const [key, steps] = [...own.steps].find(([k]) => k.includes('now_and_then'))!;
      const end = stepTimes.findIndex((time, i) => steps.has(time) && !steps.has(stepTimes[i + 1]));
      own.steps.set(key, new Map(steps).set(stepTimes[end + 1], steps.get(stepTimes[end])!));
    },
    /(near|ahead): .*"now_and_then".* in the step \d+, not absent/,
  ],
  [
    'a step shows what the series had before',
    ({ evidence, parent }) => {
      const [, steps] = [...parent.steps].find(([key]) => key.includes('"scrape_number"'))!;
      const time = evidence.stepTimes.findLast((one) => steps.has(one))!;
      steps.set(time, steps.get(time)! - 1);
    },
    /"scrape_number".*: \d+ in the step \d+, not \d+ of/,
  ],
  [
    'a scrape has a series that was not answered',
    ({ frame }) => void (frame.values as Map<string, number>).set('[["__name__","made_up"]]', 1),
    /scrape 0 \d+: \d+ series, were \d+/,
  ],
  [
    'a scrape was never answered',
    ({ evidence, frame }) => {
      const number = scrapeNumber(frame);
      const own = evidence.answered as Writable<Evidence['answered'][0]>[];
      own.find((scrape) => scrape.target === '0' && scrape.number === number)!.number = -1;
    },
    /was never answered/,
  ],
  [
    'a scrape has the time of another',
    ({ frame }) => void (frame.time -= 11_000),
    /asked at \d+, not in/,
  ],
  [
    'a scrape has a later time within its interval',
    ({ evidence: { answered }, frame }) => {
      const number = scrapeNumber(frame);
      frame.time = answered.find((one) => one.target === '0' && one.number === number)!.at + 6;
    },
    /asked at \d+, not in/,
  ],
  [
    'a gap reaches further back than the last commit',
    ({ journal, evidence: { window } }) => {
      const sent = window.to - 100;
      journal.kills = [killed(sent, [sent - 600, false], [sent - 590, true])];
      journal.gaps = [{ cause: 'restart', from: sent - 3000, to: sent + 50 }];
    },
    /2400 ms before the last commit/,
  ],
  [
    'the log says that something was synced, and it is not there',
    ({ journal, evidence: { window } }) => {
      const { epoch } = journal.marks.at(-1)!.position;
      const kill = killed(window.to - 100, [window.to - 600, false], [window.to - 590, true]);
      const commits = kill.commits.map((line) => ({
        ...line,
        position: { epoch, sequence: 2 ** 40 },
      }));
      journal.kills = [{ ...kill, commits }];
    },
    /was synced 490 ms before the kill, and lost/,
  ],
  [
    'a gap comes from nowhere',
    ({ journal, evidence: { window } }) => {
      journal.gaps = [{ cause: 'restart', from: window.to - 300, to: window.to - 100 }];
    },
    /nobody was killed/,
  ],
  [
    'a HELP is lost',
    ({ parent }) => void Object.assign(parent.metadata.slow[0], { help: '' }),
    /metadata of slow/,
  ],
  [
    'a TYPE is lost',
    ({ parent }) => void Object.assign(parent.metadata.constant[0], { type: 'unknown' }),
    /metadata of constant/,
  ],
  ['a UNIT is lost', ({ parent }) => void delete parent.metadata.work_seconds, /of work_seconds/],
  ['the ledger counts a frame twice', ({ ledger }) => void ledger.frames++, /ledger: \d+ frames/],
  ['the ledger counts too few bytes', ({ ledger }) => void ledger.bytes--, /ledger: \d+ bytes/],
  [
    'the ledger counts more samples than there are',
    ({ ledger }) => void (ledger.samples += 1_000_000),
    /ledger: \d+ samples of/,
  ],
  [
    'the ledger says that the leaf scraped once more',
    ({ job }) => void job.scraped++,
    /report of farm: \d+ scrapes that came to an end/,
  ],
  [
    'the ledger says that the leaf journalled what it did not',
    ({ job }) => {
      job.scraped++;
      job.journalled++;
    },
    /report of farm: \d+ scrapes, not/,
  ],
  ['samples are lost', ({ job }) => void job.samples--, /report of farm: \d+ samples, not/],
  [
    'the source has a frame more',
    ({ job }) => void job.pulled++,
    /report of farm: \d+ frames at the source/,
  ],
  ['a frame was not stored', ({ job }) => void job.stored--, /report of farm: \d+ frames here/],
  [
    'all that is said of another position',
    ({ report, journal: { tallies } }) => {
      const [{ sequence }] = report.saidAt;
      const i = tallies.findIndex(({ position }) => position.sequence === sequence);
      report.saidAt = report.saidAt.map(() => tallies[i - 3].position);
    },
    /report of farm: \d+ frames here, not/,
  ],
  ['frames are missing', ({ job }) => void job.missing++, /report of farm: 1 frames missing/],
  ['frames lie before the beginning', ({ job }) => void (job.before = 3), /: 3 frames before/],
  ['nobody has said what there is', ({ job }) => void (job.verdict = 'unknown'), /farm: unknown/],
  ['it is of another', ({ report }) => void (report.path = ['near']), /report: not of leaf/],
  [
    'half a scrape was shown for a moment',
    ({ evidence: { views } }) => void (views.at(-8) as { count: number }).count--,
    /showed \d+ of \d+ series at/,
  ],
  [
    'an entry is not handed on',
    (spoilt) => {
      const { marks } = spoilt.parent.copies[0];
      (marks as object[]).splice(marks.indexOf(spoilt.mark), 1);
    },
    /entry \d+\/\d+ missing/,
  ],
  [
    'an entry is handed on twice',
    (spoilt) => void (spoilt.parent.copies[0].marks as object[]).push(spoilt.mark),
    /entries twice/,
  ],
  [
    'a journal is not there',
    ({ parent }) => void (parent.copies = parent.copies.slice(1)),
    /journal of leaf: not there/,
  ],
  [
    'a ledger is of a position at which no entry ends',
    ({ ledger }) => void (ledger.position = { ...ledger.position, epoch: 0 }),
    /no entry ends at/,
  ],
  [
    'a frame was refused',
    ({ ledger }) => void (ledger.refused = { forged_label: 1 }),
    /refused forged_label/,
  ],
  ['a collision was counted', ({ ledger }) => void ledger.collisionsTotal++, /a collision/],
  [
    'what is said is of a position that the journal does not have',
    ({ report }) => void (report.saidAt = [{ epoch: 1, sequence: 2 ** 40 }]),
    /report: of no position/,
  ],
  ['an entry has changed on its way', ({ mark }) => void (mark.crc ^= 1), /other bytes/],
  [
    'a shared series has a sample that nobody journalled',
    (spoilt) => void spoilt.samples('constant', SHARED_TARGET).times[5]++,
    /was never journalled/,
  ],
  [
    'a shared series has a sample twice',
    (spoilt) => {
      const { times, values } = spoilt.samples('constant', SHARED_TARGET);
      times.splice(5, 0, times[5]);
      values.splice(5, 0, values[5]);
    },
    /"shared".*twice at/,
  ],
  [
    'a shared series breaks off where one leaf had it',
    (spoilt) => {
      const { times, values } = spoilt.samples('scrape_number', SHARED_TARGET);
      times.splice(5, 12);
      values.splice(5, 12);
    },
    /nothing is shown near/,
  ],
];

it('a gap that is not listed, listed twice or made up is seen', () => {
  const gap = (from: number) => ({ cause: 'restart', from, to: from + 10 });
  const check = (listed: number[], expected: RegExp | '') => {
    const faults = gapFaults(listed.map(gap), [1, 2].map(gap), [1, 2, 3].map(gap)).join('\n');
    if (expected === '') expect(faults).toBe('');
    else expect(faults).toMatch(expected);
  };
  check([1, 2], '');
  check([1, 2, 3], ''); // it came meanwhile
  check([1], /2 12: not listed/);
  check([1, 2, 2], /2 12: not journalled 2 times/);
  check([1, 2, 9], /9 19: not journalled/);
});
