/** A leaf that cannot read the cursors its parent has (it was put back to an earlier version): the parent heals by itself. */
import { JOURNAL_START, type JournalEntry, type JournalState } from '@canopy/model';
import type { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import type { Log } from '../log.js';
import { fill, startLeaf } from '../testing/leaf-rig.js';
import { MemoryStore } from '../testing/memory-store.js';
import { PullRig } from '../testing/rig.js';

const ALL = { maxBytes: 1e9, maxEntries: 1e9 };

/** The first or second byte of a cursor made another. */
function changed(cursor: string, at: number, value: number): string {
  const bytes = Buffer.from(cursor, 'base64url');
  bytes[at] = value;
  return bytes.toString('base64url');
}

/** The parent's next process; what it finds stored is of a version that its leaf does not know. */
function restarted(
  store: MemoryStore,
  clock: VirtualClock,
  had: JournalState,
  cursor: string,
  options: ConstructorParameters<typeof PullRig>[2] = {},
): PullRig {
  const journal = store.journal.bind(store);
  store.journal = async (ref) => {
    const state = await journal(ref);
    return state?.cursor === had.cursor ? { ...state, cursor } : state;
  };
  return new PullRig(store, clock, options);
}

/** A leaf of ten scrapes, all of them at a parent whose process has ended. */
async function pulledLeaf(log?: Log) {
  const leaf = await startLeaf({ options: { pageBytes: 100, ...(log && { log }) } });
  const { clock, journal, server } = leaf;
  await fill(journal, 10);
  const store = new MemoryStore(clock);
  const first = new PullRig(store, clock);
  await first.pullAll(server.target());
  await first.puller.close();
  const had = (await store.journal(journal.ref))!;
  return { ...leaf, leafStore: leaf.store, store, had, appender: first.appender };
}

it.each([
  ['of another version', 0, 2],
  ['with flags of a later one', 1, 0x14],
])(
  'goes on where it was with a cursor %s: nothing twice, nothing lost',
  async (_how, at, value) => {
    const logged: string[] = [];
    const log = (_level: string, text: string): void => void logged.push(text);
    const { clock, leafStore, journal, server, store, had, appender } = await pulledLeaf(log);
    const other = changed(had.cursor, at, value);
    const parent = restarted(store, clock, had, other, { log, appender });
    // All that is stored once more, page by page, and no end to it but the end.
    expect(await parent.pullAll(server.target())).toBeGreaterThan(3);
    const { totals } = parent.puller;
    expect(totals.repeated).toBe(22);
    expect((await store.journal(journal.ref))!.position).toEqual(had.position);
    // Nothing new: it does not begin once more with each pull.
    for (let i = 0; i < 3; i++) expect(await parent.pullAll(server.target())).toBe(1);
    expect(totals.repeated).toBe(22);
    await fill(journal, 5, 10);
    await parent.pullAll(server.target());
    expect(appender.samples.length).toBe(15 * 4);
    expect(appender.gaps).toEqual([]);
    expect(appender.totals).toMatchObject({ undecodable: 0, repeated: 0 });
    const entries = (of: MemoryStore): Promise<JournalEntry[]> =>
      of.readEntries(journal.ref, JOURNAL_START, ALL);
    expect(await entries(store)).toEqual(await entries(leafStore));
    const after = (await store.journal(journal.ref))!;
    expect(after.position).toEqual(journal.position);
    expect([had.cursor, other]).not.toContain(after.cursor);
    expect(totals).toMatchObject({ begunAnew: 1, ahead: 0, behind: 0 });
    expect(server.server.totals).toMatchObject({ unreadCursors: 1, refused: 0 });
    expect(logged).toEqual([
      'a reader has cursors of another version: it begins anew, and leaves out what it has',
      'the source begins anew: it cannot read the cursor that it gave',
    ]);
  },
);

it('a parent that is started anew on its way begins once more, and comes to the same end', async () => {
  const { clock, journal, server, store, had, appender } = await pulledLeaf();
  const second = restarted(store, clock, had, changed(had.cursor, 0, 2), { appender });
  expect((await second.pull(server.target())).more).toBe(true);
  await second.puller.close();
  const third = new PullRig(store, clock, { appender });
  await fill(journal, 2, 10);
  await third.pullAll(server.target());
  expect(appender.samples.length).toBe(12 * 4);
  expect((await store.journal(journal.ref))!.position).toEqual(journal.position);
});
