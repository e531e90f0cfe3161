import { type JournalRef, asTime } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { Watermarks } from './watermarks.js';

const T0 = 1_700_000_000_000;
const [EAST, WEST, OWN] = ['e', 'w', '0'].map((digit) => digit as JournalRef);
const read = (maxTime: number) => [{ matchers: [], minTime: 0, maxTime }];

it('holds queries to the journal furthest behind, and waits for none that is lost', async () => {
  const clock = new VirtualClock(T0);
  const selected = new Set([EAST, WEST, OWN]);
  const marks = new Watermarks({
    clock,
    journalsOf: () => Promise.resolve(selected),
    stored: () => T0 - 60_000,
    own: (ref) => (ref === OWN ? clock.now() - 500 : undefined),
    nameOf: (ref) => `leaf ${ref}`,
  });
  const check = async (end: number, upTo: number, ...warnings: string[]) =>
    expect(await marks.complete(read(end))).toEqual({ upTo, warnings });
  await check(T0, T0 - 60_000); // what the store had, until something is heard
  marks.note(EAST, T0 - 1000);
  marks.note(WEST, T0 - 4000);
  await check(T0, T0 - 4000);
  marks.note(WEST, T0 - 9000); // late word of an earlier page
  await check(T0, T0 - 4000);
  await check(T0 - 4000, Number.MAX_SAFE_INTEGER); // all that is asked for is there
  selected.delete(WEST);
  await check(T0, T0 - 1000); // others do not matter
  selected.add(WEST);
  for (let i = 0; i < 10; i++) {
    await clock.advance(30_000);
    marks.note(EAST, clock.now() - 1000);
  }
  await check(clock.now(), T0 - 4000); // five minutes, not more
  await clock.advance(1);
  const since = new Date(T0 - 4000).toISOString();
  const text = `leaf w has been lost for more than 5m: what it has after ${since} is not waited for`;
  await check(clock.now(), asTime(clock.now() - 1001), text);
  await check(T0 - 4000, Number.MAX_SAFE_INTEGER); // of no interest there
  marks.note(WEST, clock.now() - 700);
  await check(clock.now(), clock.now() - 1001);
  marks.goBack(WEST, T0 - 50_000); // the store lost it; it is waited for
  await check(clock.now(), T0 - 50_000);
});
