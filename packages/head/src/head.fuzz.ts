/**
 * Any sequence of what can happen to a head gives the same answers as plain arrays. Not checked
 * here: which samples a restart in the middle of a loose group refuses (head.test.ts); blocks
 * (canopy's blocks.fuzz.ts).
 */
import { type TimeRange, asDuration, asTime } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { Head } from './head.js';
import {
  type Answer,
  INTERVAL,
  JournalScript,
  ModelWorld,
  NAMES,
  TileStore,
  answerOf,
  lastOf,
  newestIn,
  plainAnswer,
  randomOf,
} from './testing/index.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 100);
const WINDOW = 40_000;
/** For a machine that is ten times as slow. */
const TIMEOUT_MS = 200_000;

it(
  'gives the answers that plain arrays give',
  async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const world = new ModelWorld(round, WINDOW);
      let pinned:
        | { snapshot: ReturnType<Head['snapshot']>; head: Head; range: TimeRange; answer: Answer }
        | undefined;
      for (let step = 0; step < 120; step++) {
        await world.step();
        if (world.random(8) === 0) {
          const range = world.range();
          const snapshot = world.head.snapshot();
          const answer = plainAnswer(world.groups, range);
          const message = `round ${round} step ${step}`;
          expect(await answerOf(snapshot, range), message).toEqual(answer);
          expect(await lastOf(snapshot, range), message).toEqual(newestIn(answer));
          if (pinned === undefined && world.random(2) === 0) {
            pinned = { snapshot, head: world.head, range, answer };
          } else snapshot.release();
        }
        if (pinned !== undefined && (pinned.head !== world.head || world.random(10) === 0)) {
          const { snapshot, range, answer } = pinned;
          const message = `pinned, round ${round} step ${step}`;
          expect(await answerOf(snapshot, range), message).toEqual(answer);
          expect(await lastOf(snapshot, range), message).toEqual(newestIn(answer));
          snapshot.release();
          pinned = undefined;
        }
      }
    }
  },
  TIMEOUT_MS,
);

it(
  'keeps of loose samples what is in order or late by less than the window',
  async () => {
    const late = 5000;
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomOf(round + 1_000_000);
      const clock = new VirtualClock();
      const store = new TileStore();
      const head = new Head({
        clock,
        windowMs: asDuration(20_000),
        tileFrames: 1 + random(6),
        outOfOrderWindow: asDuration(late),
        onTileClosed: (ref, tile) => {
          store.put(ref, tile);
          head.tileStored(ref, tile.meta);
        },
        tileSource: store,
        maxSeries: 100,
      });
      const journal = new JournalScript('a');
      const group = journal.group({ kind: 'loose', interval: INTERVAL });
      group.add(...NAMES.map((name) => ({ __name__: name })));
      const model = NAMES.map(() => new Map<number, number | null>());
      const newest = NAMES.map(() => Number.NEGATIVE_INFINITY);
      let groupNewest = Number.NEGATIVE_INFINITY;
      for (let frame = 0; frame < 40; frame++) {
        clock.stepWallClock(random(2000));
        const samples = Array.from({ length: random(8) }, () => {
          const time = clock.now() - random(10) * 1000;
          const value = random(6);
          return [random(NAMES.length), time, value === 0 ? 'stale' : value] as const;
        });
        const oldest = groupNewest - late;
        for (const [slot, time, sample] of samples) {
          if (time < oldest && time <= newest[slot]) continue;
          if (!model[slot].has(time)) model[slot].set(time, sample === 'stale' ? null : sample);
          newest[slot] = Math.max(newest[slot], time);
          groupNewest = Math.max(groupNewest, time);
        }
        group.loose(clock.now(), samples);
        head.apply(journal.ref, journal.take());
        if (random(6) === 0) head.expire(clock.now());
      }
      const expected: Answer = {};
      model.forEach((samples, slot) => {
        const sorted = [...samples].sort(([a], [b]) => a - b);
        if (sorted.length > 0) expected[NAMES[slot]] = sorted;
      });
      const snapshot = head.snapshot();
      const range = { minTime: asTime(0), maxTime: asTime(8.64e15) };
      expect(await answerOf(snapshot, range), `round ${round}`).toEqual(expected);
      expect(await lastOf(snapshot, range), `round ${round}`).toEqual(newestIn(expected));
      snapshot.release();
    }
  },
  TIMEOUT_MS,
);
