/**
 * Whatever a journal holds and however it is read: a reader of a part gets exactly the samples of
 * the whole that match, each once and in order, or is told of a gap. What was trimmed before a
 * reader's first page it never had to get: it gets all that is kept from then on, and no gap.
 */
import {
  type Clock,
  type JournalPosition,
  type JournalRef,
  type ReadLimits,
  asDuration,
  comparePositions,
  formatLabels,
  labelsFromObject,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Cell, FixtureJournal, type RecordingAppender } from '../testing/fixture-journal.js';
import { MemoryStore } from '../testing/memory-store.js';
import { PullRig, ServerRig, id } from '../testing/rig.js';

const rounds = Math.ceil(Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300) / 5);
const T0 = 1_700_000_000_000;

const cell: fc.Arbitrary<Cell> = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom<Cell>(null, 'stale', Number.NaN, -0) },
);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ frame: fc.nat(2), cells: fc.array(cell, { maxLength: 12 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      layout: fc.nat(2),
      names: fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ pull: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ epoch: true as const }) },
  // Where every group can be decoded from, or anywhere.
  { weight: 1, arbitrary: fc.record({ trim: fc.constantFrom<'safe' | number>('safe', 0, 3, 8) }) },
);

/** Time passes with every look at it, so that pages and replays end in the middle. */
class HurriedClock extends VirtualClock {
  #looks = 0;
  override monotonic(): number {
    return super.monotonic() + this.#looks++;
  }
}

/** Hands out few entries at once. */
class SmallStepStore extends MemoryStore {
  readonly #entriesMax: number;
  constructor(clock: Clock, entriesMax: number) {
    super(clock);
    this.#entriesMax = entriesMax;
  }
  override readEntries(ref: JournalRef, after: JournalPosition, limits: ReadLimits) {
    const maxEntries = Math.min(limits.maxEntries, this.#entriesMax);
    return super.readEntries(ref, after, { ...limits, maxEntries });
  }
}

interface Wanted {
  readonly position: JournalPosition;
  readonly group: number;
  readonly time: number;
  readonly line: string;
}

/**
 * Everything in order and once; what is not there, and only that, lies in a gap that was told or is a
 * frame that the reader saw and could not decode.
 */
function checkComplete(
  { samples, gaps, lost }: RecordingAppender,
  wanted: readonly Wanted[],
): void {
  let next = 0;
  for (const { line, group, time } of wanted) {
    const isLost = lost.some((frame) => frame.group === group && frame.time === time);
    const isTold =
      isLost ||
      gaps.some(
        (gap) => (gap.group === 0 || gap.group === group) && gap.from < time && time < gap.to,
      );
    const isThere = samples[next] === line;
    if (isThere) next++;
    if (!isThere && !isTold) throw new Error(`lost without a word: ${line}`);
    if (isThere && isTold) throw new Error(`called lost, but there: ${line}`);
  }
  expect(next).toBe(samples.length);
}

it(
  'a filtered reader gets what matches, whatever happens on the way',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60, size: 'max' }),
        fc.constantFrom(1, 100, 1_000_000),
        fc.constantFrom(0, 1, 8),
        fc.constantFrom(3, 100),
        fc.constantFrom(2, 2048),
        async (steps, pageBytes, viewsMax, keyEvery, chunk) => {
          const clock = new HurriedClock(T0);
          const store = new SmallStepStore(clock, chunk);
          const journal = new FixtureJournal(store, id('a'));
          journal.keyEvery = keyEvery;
          // Frames stand in the order of their times here.
          const order = { reorder: asDuration(0) };
          const options = { pageBytes, viewsMax, pageTime: asDuration(10), ...order };
          const server = await new ServerRig(store, clock, id('a'), options).listen();
          try {
            const target = server.target('a');
            const reader = new PullRig(new MemoryStore(clock), clock);
            const slots = new Map<number, string[]>();
            const wanted: Wanted[] = [];
            /** Of `wanted`. */
            let trimmed = 0;
            let cutUpTo: JournalPosition = { epoch: 0, sequence: 0 };
            /** What is kept can be decoded from its beginning on, and so it was always. */
            let isSafe = true;
            let wasSafe = true;
            let time = T0;
            for (const one of steps) {
              if ('layout' in one) {
                const names = slots.get(one.layout) ?? [];
                journal.layout(
                  one.layout + 1,
                  one.names.map((name, i) => ({ __name__: name, slot: String(names.length + i) })),
                );
                slots.set(one.layout, [...names, ...one.names]);
              } else if ('frame' in one) {
                const names = slots.get(one.frame);
                if (names === undefined) continue;
                time += 1000;
                await clock.advance(1000);
                const cells = names.map((_, i) => one.cells[i] ?? null);
                journal.frame(one.frame + 1, time, cells);
                cells.forEach((value, slot) => {
                  if (value === null || names[slot] !== 'a') return;
                  const labels = labelsFromObject({
                    __name__: 'a',
                    job: 'test',
                    instance: `i${one.frame + 1}`,
                    slot: String(slot),
                  });
                  const line = `${formatLabels(labels)} @${time} ${String(value)}`;
                  wanted.push({ position: journal.position, group: one.frame + 1, time, line });
                });
              } else if ('trim' in one) {
                await journal.commit();
                const { epoch, sequence } = journal.position;
                const cut =
                  one.trim === 'safe'
                    ? journal.safeCut
                    : { epoch, sequence: Math.max(0, sequence - one.trim) };
                if (comparePositions(cut, cutUpTo) >= 0) {
                  isSafe = one.trim === 'safe';
                  cutUpTo = cut;
                }
                wasSafe &&= isSafe;
                await journal.trim(cut);
                while (trimmed < wanted.length) {
                  if (comparePositions(wanted[trimmed].position, cut) > 0) break;
                  trimmed++;
                }
              } else if ('epoch' in one) {
                await journal.commit();
                journal.nextEpoch();
                slots.clear();
              } else {
                await journal.commit();
                for (let i = 0; i < one.pull; i++) await reader.pull(target);
              }
            }
            await journal.commit();
            await reader.pullAll(target, 500);
            checkComplete(reader.appender, wanted);
            const late = new PullRig(new MemoryStore(clock), clock, { owner: 'late' });
            await late.pullAll(target, 500);
            checkComplete(late.appender, wanted);
            if (wasSafe) expect(reader.appender.totals.undecodable).toBe(0);
            if (!isSafe) return;
            expect(late.appender.totals.undecodable).toBe(0);
            expect(late.appender.gaps.length).toBeLessThanOrEqual(1);
            expect(late.appender.samples).toEqual(wanted.slice(trimmed).map(({ line }) => line));
          } finally {
            await server.close();
          }
        },
      ),
      { numRuns: rounds },
    );
  },
  120_000 + rounds * 1000,
);
