import { expect, it } from 'vitest';
import type { HierarchyStatus, JournalStatus, SourceStatus } from './hierarchy.js';
import type { JournalRef } from './journal.js';
import { type Ledger, type TrailLevel, balance, emptyJob, emptyLedger, jobIn } from './ledger.js';
import { type Verdict, ledgerReport } from './ledger-report.js';

const REF = 'a'.repeat(32) as JournalRef;
const level = (frames: number): TrailLevel => ({
  ...{ name: 'leaf', position: { epoch: 1, sequence: frames }, frames, windows: [] },
  jobs: { node: { ...emptyJob(), scraped: frames, journalled: frames, frames } },
});
const journal = (ledger: Ledger, ref = REF): JournalStatus => {
  const position = { epoch: 1, sequence: 1 };
  return { ref, position, trimmed: position, ledger, lagSeconds: 1, entryBytes: 1 };
};
const status = (own: JournalStatus | undefined, ...pulled: JournalStatus[]): HierarchyStatus => {
  const source = { name: 'leaf', journals: pulled } as unknown as SourceStatus;
  const parts = { name: 'top', role: 'parent', journal: own, sources: [source, source] };
  return parts as unknown as HierarchyStatus;
};

it('says of each job whether its frames add up', () => {
  const check = (
    stored: number,
    verdict: Verdict,
    change?: (ledger: Ledger) => void,
    ref = REF,
  ) => {
    const ledger = emptyLedger();
    jobIn(ledger, 'node').frames = 10;
    balance(ledger, [level(10)]);
    jobIn(ledger, 'node').frames = stored;
    balance(ledger, [level(20)]);
    change?.(ledger);
    const report = ledgerReport(status(undefined, journal(ledger, ref)));
    expect(report.journals.length).toBe(1);
    expect(report.journals[0].path).toEqual(['leaf', 'top']);
    expect(report.journals[0].saidAt).toEqual([{ epoch: 1, sequence: 20 }]);
    const [job] = report.journals[0].jobs;
    expect(job.verdict).toBe(verdict);
    expect(job.scraped).toBe(20);
  };
  check(20, 'balanced');
  check(18, 'differs'); // two frames are gone without a word
  check(18, 'gaps', (ledger) => (ledger.gapsByCause.trimmed = 1));
  check(18, 'differs', (ledger) => (ledger.gapsByCause.stopped = 1)); // loses no frame
  check(21, 'differs', (ledger) => (ledger.gapsByCause.trimmed = 1)); // one too many
  check(5, 'filtered', undefined, `${REF}.01234567` as JournalRef);
  check(20, 'unknown', (ledger) => (ledger.balance = null));
  const silent = emptyLedger();
  jobIn(silent, 'node').frames = 3; // its source has said nothing yet
  const [report] = ledgerReport(status(undefined, journal(silent))).journals;
  expect(report.path).toEqual(['leaf', 'top']);
  expect(report.saidAt).toEqual([]);
  expect(report.jobs).toMatchObject([{ job: 'node', scraped: 0, verdict: 'unknown' }]);
});

it('holds the scrapes of an own journal against what became of them', () => {
  const check = (scraped: number, verdict: Verdict) => {
    const ledger = emptyLedger();
    const refused = { sample_limit: 2, clock_back: 1 };
    Object.assign(jobIn(ledger, 'node'), { scraped, journalled: 7, frames: 9, refused });
    const [{ path, source, jobs }] = ledgerReport(status(journal(ledger))).journals;
    expect([path, source]).toEqual([['top'], 'top']);
    expect(jobs[0]).toMatchObject({ job: 'node', scraped, stored: 9, verdict });
  };
  check(10, 'balanced');
  check(11, 'differs');
});

it('names sources without a journal', () => {
  const foreign = { name: 'old', url: 'http://old/federate', kind: 'foreign', journals: [] };
  const { sources, ...own } = status(undefined, journal(emptyLedger()));
  const report = ledgerReport({
    ...own,
    sources: [...sources, foreign as unknown as SourceStatus],
  });
  expect(report.lossy).toEqual([{ source: 'old', url: 'http://old/federate' }]);
});
