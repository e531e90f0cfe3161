/** What the journal's writer counts, in every stored ledger, whatever becomes of writer and store. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@canopy/model/testing';
import {
  CanopyError,
  type GroupWriter,
  type JobCounts,
  SampleState,
  asDuration,
  asTime,
  emptyJob,
  labelsFromObject,
  parseLedger,
} from '@canopy/model';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { EmbeddedStore } from '../embedded/embedded-store.js';
import { openEmbeddedStore } from '../embedded/open-embedded-store.js';
import { FlakyStore } from '../testing/flaky-store.js';
import { systemClock } from '../testing/fixtures.js';
import { JournalWriter } from './journal-writer.js';

const BASE = 1_700_000_000_000;
let path: string;
let lmdb: EmbeddedStore;
let store: FlakyStore;
let clock: VirtualClock;

const openStore = async (): Promise<void> => {
  const rest = { maxBytes: 64 * 1024 * 1024, clock: systemClock };
  lmdb = await openEmbeddedStore({ path, ...rest, log: () => {}, onCorrupt: () => {} });
  store = new FlakyStore(lmdb);
};
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'canopy-ledger-'));
  clock = new VirtualClock(asTime(BASE));
  await openStore();
});
afterEach(async () => {
  await lmdb[Symbol.asyncDispose]();
  await rm(path, { recursive: true, force: true });
});

const open = (queueBytesMax = 1024 * 1024): Promise<JournalWriter> =>
  JournalWriter.open({
    ...{ store, clock, randomBytes, owner: 'test', leaseTtl: asDuration(10_000) },
    ...{ commitInterval: asDuration(1000), commitBytes: 1024 * 1024, keyFrameEvery: 5 },
    ...{ queueBytesMax, onCommitted: () => {}, completeUpTo: () => clock.now() },
    ...{ log: () => {}, pathIdentity: '' },
  });

const openGroup = (journal: JournalWriter, job: string): GroupWriter => {
  const target = labelsFromObject({ job });
  const meta = { kind: 'aligned', target, scrapeUrl: `http://${job}/` } as const;
  const group = journal.openGroup({ ...meta, interval: asDuration(5000) });
  group.addSlot(labelsFromObject({ __name__: 'm' }), -1);
  return group;
};
/** One value after `ms`; `scrape` as in the port. */
const write = (group: GroupWriter, ms: number, scrape?: string): void => {
  const states = Uint8Array.of(SampleState.value);
  group.write(asTime(BASE + ms), states, Float64Array.of(ms), scrape);
};
/** The stored counts of a job; in every one of them scrapes add up. */
const stored = async (journal: JournalWriter, job: string): Promise<JobCounts> => {
  const ledger = parseLedger((await lmdb.journal(journal.ref))!.ledger);
  for (const counts of Object.values(ledger.jobs)) {
    const refused = Object.values(counts.refused).reduce((sum, count) => sum + count, 0);
    expect(counts.scraped).toBe(counts.journalled + refused);
  }
  return ledger.jobs[job] ?? emptyJob();
};

it('counts scrapes by job with the frames they became', async () => {
  const journal = await open();
  const group = openGroup(journal, 'a');
  write(group, 0, '');
  write(group, 5000, 'sample_limit');
  write(group, 10_000);
  journal.countMissed('a', 2);
  journal.countMissed('a', -1);
  write(openGroup(journal, 'b'), 0, '');
  await journal.flush();
  const refused = { sample_limit: 1 };
  const counts = { scraped: 2, journalled: 1, refused, missed: 2, frames: 3, samples: 3 };
  expect(await stored(journal, 'a')).toEqual(counts);
  expect(await stored(journal, 'b')).toMatchObject({ scraped: 1, journalled: 1, frames: 1 });
  const window = Math.floor(BASE / 7_200_000);
  expect(journal.ledger).toMatchObject({ frames: 4, samples: 4, refused });
  expect(journal.ledger.windows).toEqual([[window, 1, 4, 4]]);
  await journal.close();
});

it('counts scrapes that became no frame with the next commit, and has them after a restart', async () => {
  const journal = await open();
  const group = openGroup(journal, 'a');
  journal.countRefused('a', 'clock_back', 3);
  journal.countRefused('a', 'format', 0);
  journal.countLeftOut('too_old', 7);
  expect(journal.ledger.refused).toEqual({ clock_back: 3, too_old: 7 });
  write(group, 5000, '');
  write(group, 4000, ''); // the journal itself refuses it
  await journal.flush();
  expect(await stored(journal, 'a')).toMatchObject({ scraped: 5, refused: { clock_back: 4 } });
  await journal.close();
  const again = await open();
  expect(again.ledger.jobs.a).toMatchObject({ scraped: 5, journalled: 1 });
  expect(again.ledger.refused).toEqual({ clock_back: 4, too_old: 7 });
  await again.close();
});

it('counts what a store did not take as refused, once, and nothing that a crash lost', async () => {
  const journal = await open(2000);
  const group = openGroup(journal, 'a');
  store.failBefore = new CanopyError('storage_unavailable', 'down');
  for (let i = 0; i < 200; i++) write(group, i * 5000, i % 50 === 0 ? 'format' : '');
  const dropped = journal.stats.framesDropped;
  expect(dropped).toBeGreaterThan(100);
  store.failBefore = undefined;
  const flushed = journal.flush();
  for (let i = 0; i < 20; i++) await clock.advance(500);
  await flushed;
  const counts = await stored(journal, 'a');
  expect(counts).toMatchObject({ scraped: 200, frames: 200 - dropped });
  expect(counts.refused.format).toBe(4);
  expect(counts.refused.queue_full).toBe(200 - counts.journalled - 4);
  write(group, 2_000_000, '');
  // As after kill -9: the frame that waits is in no ledger.
  await lmdb[Symbol.asyncDispose]();
  await openStore();
  await clock.advance(20_000);
  const again = await open();
  expect(again.ledger.jobs.a).toEqual(counts);
  write(openGroup(again, 'a'), 2_010_000, '');
  await again.flush();
  const [gap] = again.ledger.gaps.slice(-1);
  expect(gap).toMatchObject({ cause: 'restart', job: 'a', to: BASE + 2_010_000 });
  await again.close();
});

it('counts frames again that a new epoch drops, as refused', async () => {
  const journal = await open();
  const group = openGroup(journal, 'a');
  write(group, 0, '');
  await journal.flush();
  journal.countRefused('a', 'clock_back', 1);
  write(group, 5000, '');
  journal.breakEpoch({ epoch: 7, sequence: 1 });
  write(group, 10_000, '');
  await journal.flush();
  const refused = { clock_back: 1, epoch_break: 1 };
  expect(await stored(journal, 'a')).toMatchObject({ scraped: 4, journalled: 2, refused });
  await journal.close();
});
