/** A journal's writer over an embedded store that fails when it is told to; anew for each test of the importing file. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CanopyError,
  type GroupWriter,
  type JournalEntry,
  type Ledger,
  SampleState,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { afterEach, beforeEach } from 'vitest';
import type { EmbeddedStore } from '../embedded/embedded-store.js';
import { openEmbeddedStore } from '../embedded/open-embedded-store.js';
import { JournalWriter } from '../journal/journal-writer.js';
import type { JournalWriterOptions } from '../journal/options.js';
import { systemClock } from './fixtures.js';
import { FlakyStore } from './flaky-store.js';
import { type ReadJournal, readJournal } from './journal-reader.js';

export const BASE = 1_700_000_000_000;
export const at = (ms: number) => asTime(BASE + ms);
export const DOWN = new CanopyError('storage_unavailable', 'down');

export let path: string;
export let lmdb: EmbeddedStore;
export let store: FlakyStore;
export let clock: VirtualClock;
export let committed: JournalEntry[];
export let ledgers: Ledger[];
export let messages: string[];
/** Debug messages, with the sequence they name. */
export let commits: string[];

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

export const open = (more: Partial<JournalWriterOptions> = {}): Promise<JournalWriter> =>
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

export const openGroup = (
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
export const addSeries = (group: GroupWriter, ...names: string[]): void => {
  for (const name of names) group.addSlot(labelsFromObject({ __name__: name }), -1);
};
/** Values by slot; undefined is no sample. */
export const write = (
  group: GroupWriter,
  ms: number,
  ...row: Array<number | 'stale' | undefined>
) => {
  const states = row.map((value) =>
    value === undefined ? SampleState.none : value === 'stale' ? SampleState.stale : 1,
  );
  const values = row.map((value) => (typeof value === 'number' ? value : 0));
  group.write(at(ms), Uint8Array.from(states), Float64Array.from(values));
};
export const read = (journal: JournalWriter): Promise<ReadJournal> =>
  readJournal(lmdb, journal.ref, BASE);

/** As after kill -9: nothing is said to the journal, the store is opened anew. */
export const crash = async (): Promise<void> => {
  await lmdb[Symbol.asyncDispose]();
  await openStore();
};

/** Lets the clock run until something has happened. */
export async function advanceUntil(done: () => boolean): Promise<void> {
  const end = Date.now() + 5000;
  while (!done()) {
    if (Date.now() > end) throw new Error('did not happen');
    await clock.advance(500);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
