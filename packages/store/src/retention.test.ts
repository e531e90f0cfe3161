import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GroupWriter, asDuration, asTime, labelsFromObject } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import type { EmbeddedStore } from './embedded/embedded-store.js';
import { openEmbeddedStore } from './embedded/open-embedded-store.js';
import type { Mark } from './journal/journal-index.js';
import { JournalWriter } from './journal/journal-writer.js';
import { type JournalTrimmerOptions, JournalTrimmer, chooseCut, replayFrom } from './retention.js';
import { systemClock } from './testing/fixtures.js';
import { readJournal } from './testing/journal-reader.js';

const place = (sequence: number) => ({ epoch: 1, sequence });
/** Marks every 100 entries, minute and kilobyte; a cut 50 entries before each. */
const marks: Mark[] = Array.from({ length: 10 }, (_, i) => ({
  position: place((i + 1) * 100),
  time: asTime((i + 1) * 60_000),
  bytes: (i + 1) * 1000,
  cut: place((i + 1) * 100 - 50),
}));

describe('chooseCut', () => {
  const check = (
    limits: { keepFrom?: number; dropBytes?: number; keepAfter?: number },
    upTo: number | undefined,
    short = false,
  ): void => {
    const cut = chooseCut(marks, {
      keepFrom: limits.keepFrom === undefined ? undefined : asTime(limits.keepFrom),
      dropBytes: limits.dropBytes,
      keepAfter: limits.keepAfter === undefined ? undefined : place(limits.keepAfter),
    });
    expect(cut).toEqual({ upTo: upTo === undefined ? undefined : place(upTo), short });
  };

  it('keeps what is young', () => {
    check({}, undefined);
    check({ keepFrom: 60_000 }, undefined);
    check({ keepFrom: 60_001 }, 50);
    check({ keepFrom: 300_000 }, 350);
    check({ keepFrom: 9e9 }, 950);
  });

  it('drops at least the bytes over the limit, or says that it cannot', () => {
    check({ dropBytes: -5 }, undefined);
    check({ dropBytes: 1 }, 150); // The first cut has no mark before it: nothing is known to be freed.
    check({ dropBytes: 1000 }, 150);
    check({ dropBytes: 1001 }, 250);
    check({ dropBytes: 9000 }, 950);
    check({ dropBytes: 9001 }, 950, true);
  });

  it('keeps what a reader has not read', () => {
    check({ keepFrom: 9e9, keepAfter: 449 }, 350);
    check({ keepFrom: 9e9, keepAfter: 450 }, 450);
    check({ dropBytes: 9001, keepAfter: 10 }, undefined);
  });
});

const BASE = 1_700_000_000_000;
const STEP_MS = 15_000;

describe('JournalTrimmer', () => {
  let path: string;
  let store: EmbeddedStore;
  const clock = new VirtualClock(BASE);
  const openStore = (): Promise<EmbeddedStore> =>
    openEmbeddedStore({
      path,
      maxBytes: 64 * 1024 * 1024,
      clock: systemClock,
      log: () => {},
      onCorrupt: () => {},
    });
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'canopy-retention-'));
    store = await openStore();
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    await rm(path, { recursive: true, force: true });
  });

  const openJournal = (): Promise<JournalWriter> =>
    JournalWriter.open({
      store,
      clock,
      randomBytes,
      owner: 'test',
      leaseTtl: asDuration(10_000),
      commitInterval: asDuration(1000),
      commitBytes: 1e6,
      keyFrameEvery: 20,
      queueBytesMax: 1e8,
      onCommitted: () => {},
      completeUpTo: () => clock.now(),
      log: () => {},
      pathIdentity: '',
    });
  const openGroup = (journal: JournalWriter, job: string): GroupWriter => {
    const group = journal.openGroup({
      kind: 'aligned',
      target: labelsFromObject({ job }),
      scrapeUrl: '',
      interval: asDuration(STEP_MS),
    });
    group.addSlot(labelsFromObject({ __name__: 'm' }), -1);
    return group;
  };
  /** Frames of steps `from` to before `to`; the value is the step. */
  const fill = async (
    journal: JournalWriter,
    groups: readonly GroupWriter[],
    from: number,
    to: number,
  ): Promise<void> => {
    for (let step = from; step < to; step++) {
      for (const group of groups) {
        group.write(asTime(BASE + step * STEP_MS), Uint8Array.of(1), Float64Array.of(step));
      }
      if (step % 4 === 3) await journal.flush();
    }
    await journal.flush();
  };
  const trimmer = (journal: JournalWriter, more: Partial<JournalTrimmerOptions>) =>
    new JournalTrimmer({
      store,
      journal,
      maxAge: asDuration(0),
      maxBytes: 0,
      dropLayouts: true,
      log: () => {},
      ...more,
    });
  /** Steps of each job that can be decoded from what is left; older ones before a key frame cannot. */
  const stepsLeft = async (journal: JournalWriter): Promise<Record<string, number[]>> => {
    const { frames } = await readJournal(store, journal.ref, BASE);
    const steps: Record<string, number[]> = {};
    for (const frame of frames) {
      const [job, time, sample] = frame.split(' ');
      expect(sample).toBe(`m=${Number(time) / STEP_MS}`);
      (steps[job] ??= []).push(Number(time) / STEP_MS);
    }
    return steps;
  };

  it('keeps every frame within the age, with the key frames before it', async () => {
    const journal = await openJournal();
    const early = openGroup(journal, 'early');
    await fill(journal, [early], 0, 7);
    const late = openGroup(journal, 'late');
    await fill(journal, [early, late], 7, 400);
    const now = asTime(BASE + 399 * STEP_MS);
    const replay = replayFrom(journal, asTime(now - 100 * STEP_MS));
    const outcome = await trimmer(journal, { maxAge: asDuration(100 * STEP_MS) }).trim(now);
    expect(outcome.bytesFreed).toBeGreaterThan(0);
    // What a restart reads for a window is what a trim to that window would leave.
    expect(outcome.trimmed).toEqual(replay);
    for (const steps of Object.values(await stepsLeft(journal))) {
      expect(steps[0]).toBeLessThanOrEqual(299);
      expect(steps[0]).toBeGreaterThan(299 - 20 - 8);
      expect(steps.at(-1)).toBe(399);
      expect(steps.length).toBe(400 - steps[0]);
    }
    await journal.close();
  });

  it('holds the limit of bytes, asking for key frames where there are too few', async () => {
    const journal = await openJournal();
    const group = openGroup(journal, 'a');
    const limited = trimmer(journal, { maxBytes: 4000 });
    for (let from = 0; from < 2000; from += 100) {
      await fill(journal, [group], from, from + 100);
      await limited.trim(asTime(BASE + from * STEP_MS));
      const { entryBytes } = (await store.journal(journal.ref))!;
      expect(entryBytes).toBeLessThan(4600);
    }
    const steps = (await stepsLeft(journal)).a;
    expect(steps.at(-1)).toBe(1999);
    expect(steps.length).toBeGreaterThan(100);
    await journal.close();
  });

  it('keeps what a reader has not read, over the limits', async () => {
    const journal = await openJournal();
    const group = openGroup(journal, 'a');
    await fill(journal, [group], 0, 300);
    const limited = trimmer(journal, { maxAge: asDuration(STEP_MS) });
    const now = asTime(BASE + 300 * STEP_MS);
    const { trimmed } = await limited.trim(now, { epoch: 1, sequence: 150 });
    expect(trimmed.sequence).toBeLessThanOrEqual(150);
    expect(trimmed.sequence).toBeGreaterThan(100);
    await journal.close();
  });

  it('forgets layouts of groups that are gone, also after a restart', async () => {
    const first = await openJournal();
    await fill(first, [openGroup(first, 'a'), openGroup(first, 'gone')], 0, 40);
    await first.close();
    await store[Symbol.asyncDispose]();
    store = await openStore();
    const journal = await openJournal();
    const group = openGroup(journal, 'a');
    await fill(journal, [group], 40, 400);
    expect((await store.readLayouts(journal.ref)).length).toBe(3);
    const limited = trimmer(journal, { maxAge: asDuration(50 * STEP_MS) });
    await limited.trim(asTime(BASE + 400 * STEP_MS));
    expect((await store.readLayouts(journal.ref)).length).toBe(1);
    const steps = (await stepsLeft(journal)).a;
    expect(steps[0]).toBeGreaterThan(300);
    await journal.close();
  });
});
