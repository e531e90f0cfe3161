import { asDuration, emptyLedger } from '@canopy/model';
import { expect, it } from 'vitest';
import {
  DOWN,
  addSeries,
  advanceUntil,
  at,
  clock,
  committed,
  crash,
  ledgers,
  lmdb,
  messages,
  open,
  openGroup,
  read,
  store,
  write,
} from '../testing/journal-rig.js';

it('starts a new epoch for a reader that has seen more', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'm');
  write(group, 0, 1);
  await journal.flush();
  write(group, 5000, 2);
  journal.breakEpoch({ epoch: 4, sequence: 77 });
  write(group, 10_000, 3);
  await journal.flush();
  expect(journal.position).toEqual({ epoch: 5, sequence: 3 });
  const { frames, gaps } = await read(journal);
  expect(frames).toEqual(['a 0 m=1', 'a 10000 m=3']);
  expect(gaps).toEqual([{ group: 1, from: at(0), to: at(10_000), cause: 'refused', frames: 1 }]);
  journal.breakEpoch({ epoch: 3, sequence: 1 }); // Known already.
  write(group, 15_000, 4);
  await journal.flush();
  expect(journal.position.epoch).toBe(5);
  await journal.close();
});

it('keeps its id where the store was wiped before its first commit', async () => {
  const first = await open();
  await store.putDocument('journal/id', undefined);
  await store.releaseLease(first.lease);
  const group = openGroup(first);
  addSeries(group, 'm');
  write(group, 0, 1);
  await first.flush();
  expect(ledgers.length).toBe(1);
  await crash();
  const second = await open();
  expect(second.id).toBe(first.id);
  await second.close();
});

it('starts a new epoch when the store lost the journal', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'm');
  write(group, 0, 1);
  await journal.flush();
  await lmdb.dropJournal(journal.lease);
  write(group, 5000, 2);
  await clock.advance(1000);
  await advanceUntil(() => journal.position.epoch === 2);
  write(group, 10_000, 3);
  await journal.flush();
  const { frames, gaps } = await read(journal);
  expect(frames).toEqual(['a 10000 m=3']);
  expect(gaps.map(({ group, cause, frames }) => [group, cause, frames])).toEqual([
    [0, 'restart', -1],
    [1, 'refused', 1],
  ]);
  await journal.close();
});

it('finds out without a commit what the store lost, once it is told to doubt it', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'm');
  write(group, 0, 1);
  await journal.flush();
  await journal.doubt(); // all is there
  await clock.advance(60_000);
  expect(journal.position).toEqual({ epoch: 1, sequence: 2 });
  await lmdb.dropJournal(journal.lease);
  await store.putDocument('journal/id', undefined);
  store.failState = DOWN;
  await journal.doubt(); // nobody knows
  store.failState = undefined;
  await journal.doubt();
  await advanceUntil(() => journal.position.sequence > 0);
  expect(journal.position).toEqual({ epoch: 2, sequence: 1 });
  const { frames, gaps } = await read(journal);
  expect(frames).toEqual([]);
  expect(gaps.map(({ group, cause, frames }) => [group, cause, frames])).toEqual([
    [0, 'restart', -1],
  ]);
  expect(ledgers.at(-1)?.gaps).toMatchObject([{ from: 0, to: at(60_000), cause: 'restart' }]);
  expect(await store.getDocument('journal/id')).toContain(journal.id);
  await journal.close();
});

it.each([
  ['while nobody wrote', 60_000, 0],
  ['and the clock was set back behind all epochs', 0, 2_000_000_000],
])('gives no number twice where the store lost some %s', async (_, step, epoch) => {
  const seenUpTo = () => ({ epoch, sequence: 1 });
  const seen = new Set<string>();
  let drawn = 0;
  const randomBytes = (size: number): Uint8Array => new Uint8Array(size).fill(drawn++);
  const mayGoBack = true;
  for (let run = 0; run < 3; run++) {
    const journal = await open({ mayGoBack, seenUpTo, randomBytes });
    const group = openGroup(journal);
    addSeries(group, 'm');
    write(group, run * 60_000, run);
    await journal.flush();
    for (const { epoch, sequence } of committed.splice(0)) {
      expect(seen).not.toContain(`${epoch}-${sequence}`);
      seen.add(`${epoch}-${sequence}`);
    }
    // Killed; what it has written is gone, its name is not.
    await lmdb.dropJournal(journal.lease);
    await crash();
    await clock.advance(step);
  }
  const last = await open({ mayGoBack, seenUpTo, randomBytes });
  await last.close();
  expect(seen.size).toBe(6);
});

it('begins above what its process has seen of the journal and the store has forgotten', async () => {
  const seen = Math.floor(clock.now() / 1000) + 1000;
  const seenUpTo = () => ({ epoch: seen, sequence: 9 });
  const journal = await open({ mayGoBack: true, seenUpTo });
  write(openGroup(journal), 0, 1);
  await journal.flush();
  expect(journal.position.epoch).toBeGreaterThan(seen);
  await journal.close();
});

it('goes on with what its process gives back to a store that lost the journal', async () => {
  const first = await open();
  const group = openGroup(first);
  addSeries(group, 'm');
  write(group, 0, 1);
  await first.flush();
  await lmdb.dropJournal(first.lease);
  await crash();
  const ledger = JSON.stringify({ ...emptyLedger(), frames: 7 });
  const position = { epoch: 1, sequence: 70 };
  const found: unknown[] = [];
  const second = await open({
    onFound: async (ref, state) => {
      found.push([ref, state]);
      const lease = await store.acquireLease(ref, 'test', asDuration(1000));
      if (!lease.granted) throw new Error('not granted');
      const commit = { lease: lease.lease, expected: null, entries: [], position, cursor: '' };
      await store.commit({ ...commit, ledger });
      return true;
    },
  });
  expect(found).toEqual([[first.ref, undefined]]);
  expect(second.position).toEqual(position);
  expect(second.ledger.frames).toBe(7);
  await second.close();
});

it('signs cursors with one key for all of its life, which its id does not tell', async () => {
  const first = await open();
  const key = Buffer.from(first.cursorKey).toString('hex');
  expect([key.length, first.id.length]).toEqual([32, 32]);
  expect(key).not.toBe(first.id);
  await first.close();
  const second = await open();
  expect([second.id, second.cursorKey]).toEqual([first.id, first.cursorKey]);
  await second.close();
  await store.putDocument('journal/id', undefined);
  const other = await open();
  expect(other.cursorKey).not.toEqual(first.cursorKey);
  await other.close();
});

it('begins above all that readers may have where it is from before there were keys', async () => {
  const first = await open();
  const group = openGroup(first);
  addSeries(group, 'm');
  write(group, 0, 1);
  await first.close();
  await store.putDocument('journal/id', JSON.stringify({ id: first.id, place: '' }));
  const second = await open();
  expect(second.id).toBe(first.id);
  write(openGroup(second), 60_000, 2);
  await second.flush();
  expect(second.position.epoch).toBe(Math.floor(clock.now() / 1000));
  await second.close();
  const third = await open();
  expect([third.cursorKey, third.position.epoch]).toEqual([
    second.cursorKey,
    second.position.epoch,
  ]);
  await third.close();
});

it('makes a new id in a copied folder; the old journal stays readable', async () => {
  const first = await open({ pathIdentity: 'here' });
  const group = openGroup(first);
  addSeries(group, 'm');
  write(group, 0, 1);
  await first.close();
  const same = await open({ pathIdentity: 'here' });
  await same.close();
  expect(same.id).toBe(first.id);
  const copy = await open({ pathIdentity: 'there' });
  await copy.close();
  expect(copy.id).not.toBe(first.id);
  expect(messages.some((message) => message.includes('copy'))).toBe(true);
  expect((await read(first)).frames).toEqual(['a 0 m=1']);
});

it('names what parents may not have pulled of the journal that a copied or moved folder had', async () => {
  const first = await open({ pathIdentity: 'here' });
  const group = openGroup(first);
  addSeries(group, 'm');
  write(group, 0, 1);
  await first.flush();
  write(group, 5000, 2);
  await first.close();
  await clock.advance(60_000);
  const killed = await open({ pathIdentity: 'there' });
  expect(killed.position.sequence).toBe(0);
  await crash(); // before it said anything
  await clock.advance(60_000);
  const moved = await open({ pathIdentity: 'there' });
  expect(moved.id).toBe(killed.id);
  await moved.flush();
  const named = { group: 0, from: at(-1), to: at(120_000), cause: 'restart' };
  expect(moved.ledger.gaps).toMatchObject([named]);
  expect((await read(moved)).gaps).toMatchObject([named]);
  await moved.close();
  const again = await open({ pathIdentity: 'there' });
  await again.flush();
  expect(again.ledger.gaps).toMatchObject([named]); // once
  await again.close();
});

it('ends within one try when the store is away, and says what is lost', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'm');
  write(group, 0, 1);
  store.failBefore = DOWN;
  await journal.close();
  expect(messages.at(-1)).toBe('the store did not take the last records');
  store.failBefore = undefined;
});

it('is refused while another owner writes the journal', async () => {
  const journal = await open();
  let refusal: unknown;
  open({ owner: 'other' }).catch((error: unknown) => {
    refusal = error;
  });
  await advanceUntil(() => refusal !== undefined);
  expect(refusal).toMatchObject({ code: 'storage_locked' });
  await journal.close();
});

it('names what the store has lost, once, in the ledger of the next commit', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'x');
  const gap = { group: 0, from: at(0), to: at(100), cause: 'corrupt' as const, frames: 1 };
  write(group, 0, 1);
  const flushed = journal.flush();
  journal.nameGap(gap);
  await flushed;
  journal.nameGap(gap);
  write(group, 5000, 2);
  await journal.flush();
  expect(ledgers.at(-1)).toMatchObject({ gaps: [gap], gapsTotal: 1, gapsByCause: { corrupt: 1 } });
  await journal.close();
  const again = await open();
  again.nameGap({ ...gap, from: at(50) });
  expect(again.ledger.gaps.filter(({ cause }) => cause === 'corrupt')).toEqual([gap]);
  await again.close();
});

it('writes nothing any more when another process writes the journal', async () => {
  const journal = await open();
  const group = openGroup(journal);
  addSeries(group, 'x');
  write(group, 0, 1);
  await journal.flush();
  write(group, 5000, 2);
  const before = await lmdb.journal(journal.ref);
  await journal.close(true);
  expect(await lmdb.journal(journal.ref)).toEqual(before);
  expect(await lmdb.getDocument('journal/clean')).toBe(undefined);
});
