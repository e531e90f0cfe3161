/** What is remembered of filtered readers is bounded in bytes, and nobody loses anything by it. */
import { asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it, onTestFinished } from 'vitest';
import { FixtureJournal } from '../testing/fixture-journal.js';
import { MemoryStore } from '../testing/memory-store.js';
import { HurriedClock, PullRig, ServerRig, id } from '../testing/rig.js';
import type { FrameServerOptions } from './frames.js';

const T0 = 1_700_000_000_000;
const SERIES = 1000;

/** A journal of one group, half of which passes each of the readers' filters. */
async function leaf(options: Partial<FrameServerOptions>, clock = new VirtualClock(T0)) {
  const store = new MemoryStore(clock);
  const journal = new FixtureJournal(store, id('a'));
  const server = await new ServerRig(store, clock, id('a'), options).listen();
  onTestFinished(() => server.close());
  journal.keyEvery = 1000;
  const names = Array.from({ length: SERIES }, (_, i) => ({
    ...{ __name__: 'm', half: String(i % 2), i: String(i) },
  }));
  for (let i = 0; i < SERIES; i += 50) journal.layout(1, names.slice(i, i + 50));
  let frames = 0;
  const write = async (): Promise<void> => {
    const values = Array.from({ length: SERIES }, (_, i) => i * frames);
    journal.frame(1, T0 + frames++ * 1000, values);
    await journal.commit();
  };
  await write();
  const reader = (owner: string) => new PullRig(new MemoryStore(clock), clock, { owner });
  return { clock, server, write, reader };
}

it('keeps what the bound has room for; who was forgotten is worked out again', async () => {
  const view = 30_000; // about 23 bytes a slot, and a group
  const { server, write, reader } = await leaf({ viewBytesMax: 2.5 * view, viewsMax: 100 });
  const readers = Array.from('123456', reader);
  const target = server.target('{half="0"}');
  for (let round = 0; round < 3; round++) {
    for (const one of readers) {
      await one.pullAll(target);
      expect(server.server.viewBytes).toBeGreaterThan(view / 2);
      expect(server.server.viewBytes).toBeLessThan(2.5 * view);
    }
    await write();
  }
  const { viewsDropped, replays } = server.server.totals;
  expect([viewsDropped > 10, replays > 10]).toEqual([true, true]);
  for (const one of readers) {
    await one.pullAll(target);
    expect(one.appender.samples.length).toBe((4 * SERIES) / 2);
    expect(one.appender.gaps).toEqual([]);
  }
});

it('begins no more of them than there is room for; those that are begun get on', async () => {
  // There is little time: a view is set aside again and again.
  const options = { viewBytesMax: 2, pageTime: asDuration(3) };
  const { clock, server, reader } = await leaf(options, new HurriedClock(T0));
  const target = server.target('{half="0"}');
  const [first, second] = Array.from('12', reader);
  await first.ask(target);
  expect(server.server.viewBytes).toBeGreaterThan(0);
  const { status, body } = await second.ask(target);
  const text = Buffer.from(body).toString();
  expect([status, text]).toEqual([429, 'too many filters are being worked out\n']);
  expect(server.server.totals.refusedBy).toEqual({ too_many_requests: 1 });
  await first.pullAll(target);
  expect(first.appender.samples.length).toBe(SERIES / 2);
  // Nor does one that never comes back keep others out.
  await reader('3').ask(target);
  expect((await second.ask(target)).status).toBe(429);
  await clock.advance(150_001);
  await second.pullAll(target);
  expect(second.appender.samples.length).toBe(SERIES / 2);
});
