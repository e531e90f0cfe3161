/** Pages that must not be taken: each is refused whole and counted by its reason; the next good one is taken. */
import { crc32c } from '@canopy/encoding';
import type { JournalRef } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it, onTestFinished } from 'vitest';
import { decodePage, encodePage } from '../page.js';
import type { JournalSection, Page } from '../page-types.js';
import { FixtureJournal } from '../testing/fixture-journal.js';
import { MemoryStore } from '../testing/memory-store.js';
import { PullRig, ServerRig, id } from '../testing/rig.js';

const T0 = 1_700_000_000_000;
const LIMITS = { pageBytesMax: 1 << 20, journalsMax: 10 };

async function world() {
  const clock = new VirtualClock(T0);
  const store = new MemoryStore(clock);
  const journal = new FixtureJournal(store, id('a'));
  journal.layout(1, ['a']);
  for (let i = 0; i < 6; i++) journal.frame(1, T0 + i * 1000, [i]);
  await journal.commit();
  const server = await new ServerRig(store, clock, id('a'), { pageBytes: 100 }).listen();
  onTestFinished(() => server.close());
  const copy = new MemoryStore(clock);
  const options = { pageBytesMax: 4096, ownJournals: () => new Set([id('b')]) };
  return { server, copy, parent: new PullRig(copy, clock, options) };
}

/** Mends the checksum, so that what is inside is looked at. */
function sealed(bytes: Uint8Array): Uint8Array {
  const end = bytes.length - 4;
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(end, crc32c(bytes, 0, end), true);
  return bytes;
}

const withSection = (page: Page, change: (section: JournalSection) => Partial<JournalSection>) =>
  encodePage({
    ...page,
    journals: page.journals.map((section) => ({ ...section, ...change(section) })),
  });

it('refuses bad pages whole, by reason', async () => {
  const { server, copy, parent } = await world();
  const target = server.target();
  const { body } = await parent.ask(target);
  const page = decodePage(body.slice(), LIMITS);
  const check = async (bad: Uint8Array, reason: keyof typeof parent.puller.totals.refusedPages) => {
    const before = { ...parent.puller.totals.refusedPages };
    await expect(parent.puller.take(target, {}, bad)).rejects.toMatchObject({ code: 'format' });
    before[reason]++;
    expect(parent.puller.totals.refusedPages).toEqual(before);
    expect(await copy.journals()).toEqual([]);
    expect(parent.appender.samples).toEqual([]);
  };
  const flipped = body.slice();
  flipped[body.length >> 1] ^= 1;
  await check(flipped, 'damaged');
  await check(body.slice(0, body.length >> 1), 'damaged');
  await check(Buffer.from('<html>a proxy says no</html>'), 'damaged');
  const newer = body.slice();
  newer[3] = 9;
  await check(sealed(newer), 'version');
  await check(new Uint8Array(5000), 'too_large');
  // Lengths beyond any page, of a section and of a count of entries.
  const long = [0x43, 0x46, 0x50, 1, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0];
  await check(sealed(Uint8Array.from(long)), 'inconsistent');
  // Entries out of order, twice, before and beyond what the section says; a journal twice.
  await check(
    withSection(page, ({ entries }) => ({ entries: [{ ...entries[0], epoch: 2 }, ...entries] })),
    'inconsistent',
  );
  await check(
    withSection(page, ({ entries }) => ({ entries: [entries[0], ...entries] })),
    'inconsistent',
  );
  await check(
    withSection(page, ({ entries }) => ({ position: entries[0] })),
    'inconsistent',
  );
  await check(
    withSection(page, ({ entries }) => ({ from: entries[0] })),
    'inconsistent',
  );
  await check(
    encodePage({ ...page, journals: [...page.journals, ...page.journals] }),
    'inconsistent',
  );
  await parent.pullAll(target);
  expect(parent.appender.samples.length).toBe(6);
});

it('takes pages in their order and once, and nothing of its own', async () => {
  const { server, copy, parent } = await world();
  const target = server.target();
  const first = (await parent.ask(target)).body.slice();
  const other = new PullRig(new MemoryStore(new VirtualClock(T0)), new VirtualClock(T0));
  await other.puller.take(target, {}, first.slice());
  const second = (await other.ask(target)).body.slice();
  // The second before the first would leave a hole.
  expect(await parent.puller.take(target, {}, second.slice())).toMatchObject({ samples: 0 });
  expect(parent.puller.totals.ahead).toBe(1);
  expect(await copy.journals()).toEqual([]);
  for (const body of [first, second, first, second]) {
    await parent.puller.take(target, {}, body.slice());
  }
  expect(parent.puller.totals.repeated).toBeGreaterThan(0);
  const page = decodePage(second.slice(), LIMITS);
  // Of an epoch that nobody began, after what is there: it would skip the rest of this one.
  const elsewhere = { epoch: 7, sequence: 3 };
  const jumped = withSection(page, () => ({
    ...{ from: elsewhere, position: elsewhere, newest: elsewhere, entries: [] },
  }));
  expect(await parent.puller.take(target, {}, jumped)).toMatchObject({ samples: 0 });
  expect(parent.puller.totals.ahead).toBe(2);
  // What this process writes itself.
  const own = withSection(page, () => ({ ref: id('b') as string as JournalRef }));
  expect(await parent.puller.take(target, {}, own)).toMatchObject({ samples: 0 });
  expect(parent.puller.totals.loops).toBe(1);
  await parent.pullAll(target);
  expect(parent.appender.samples.length).toBe(6);
  expect((await copy.journals()).length).toBe(1);
});
