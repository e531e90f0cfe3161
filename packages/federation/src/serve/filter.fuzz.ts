/**
 * Whatever a journal holds and however it is read: a reader of a part gets exactly the samples of
 * the whole that match, each once and in order, or is told of a gap.
 */
import { asDuration, formatLabels, labelsFromObject } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Cell, FixtureJournal } from '../testing/fixture-journal.js';
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
);

it('a filtered reader gets what matches, whatever happens on the way', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.constantFrom(1, 100, 1_000_000),
      fc.constantFrom(0, 1, 8),
      async (steps, pageBytes, viewsMax) => {
        const clock = new VirtualClock(T0);
        const store = new MemoryStore(clock);
        const journal = new FixtureJournal(store, id('a'));
        const options = { pageBytes, viewsMax, pageTime: asDuration(1000) };
        const server = await new ServerRig(store, clock, id('a'), options).listen();
        try {
          const target = server.target('a');
          const reader = new PullRig(new MemoryStore(clock), clock);
          const slots = new Map<number, string[]>();
          const wanted: string[] = [];
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
                wanted.push(`${formatLabels(labels)} @${time} ${String(value)}`);
              });
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
          expect(reader.appender.samples).toEqual(wanted);
          const late = new PullRig(new MemoryStore(clock), clock, { owner: 'late' });
          await late.pullAll(target, 500);
          expect(late.appender.samples).toEqual(wanted);
          expect(server.server.totals.undecodable).toBe(0);
        } finally {
          await server.close();
        }
      },
    ),
    { numRuns: rounds },
  );
}, 120_000);
