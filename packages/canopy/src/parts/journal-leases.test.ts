import { CanopyError, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { A, B, storeWithJournals } from '../testing/two-journals.js';
import { JournalLeases } from './journal-leases.js';

const TTL = asDuration(8000);

async function rig() {
  const clock = new VirtualClock();
  const store = await storeWithJournals(clock);
  await clock.advance(86_400_000);
  const take = async (ref: typeof A, owner: string) =>
    (await store.acquireLease(ref, owner, TTL)).granted;
  let asked = 0;
  const { acquireLease } = store;
  store.acquireLease = (...given) => {
    asked++;
    return acquireLease.apply(store, given);
  };
  const leases = new JournalLeases({ store, clock, owner: 'me', ttl: TTL });
  return { clock, store, leases, take, asked: () => asked };
}

it('gives back what it has taken, and leaves others what they hold', async () => {
  const { leases, take } = await rig();
  expect(await take(B, 'other')).toBe(true);
  await leases.take(A);
  await expect(leases.take(B)).rejects.toMatchObject({ code: 'storage_unavailable' });
  expect(await take(A, 'next')).toBe(false);
  await leases.giveUp();
  expect([await take(A, 'next'), await take(B, 'next')]).toEqual([true, false]);
});

it('gives nothing back that another process has taken meanwhile', async () => {
  const { clock, leases, take } = await rig();
  await leases.take(A);
  await clock.advance(TTL + 1);
  expect(await take(A, 'other')).toBe(true);
  await leases.giveUp();
  expect(await take(A, 'next')).toBe(false);
});

it('uses one for some seconds, then renews it, and asks anew once all were given back', async () => {
  const { clock, leases, asked } = await rig();
  const first = await leases.held(A);
  await clock.advance(3000);
  expect(await leases.held(A)).toBe(first);
  expect(asked()).toBe(1);
  await clock.advance(1001);
  expect((await leases.held(A)).fence).toBe(first.fence);
  expect(asked()).toBe(2);
  await leases.giveUp();
  await leases.held(A);
  expect(asked()).toBe(3);
});

it('waits for one that a process before left behind', async () => {
  const { clock, leases, take } = await rig();
  await take(A, 'before');
  let isTaken = false;
  const taken = leases.takeOver(A).then(() => (isTaken = true));
  while (!isTaken) await clock.advance(500);
  await taken;
  expect(await take(A, 'before')).toBe(false);
  await leases.giveUp();
  expect(await take(A, 'before')).toBe(true);
});

it('tries to give back all, and says what went wrong', async () => {
  const { store, leases, take } = await rig();
  await leases.take(A);
  await leases.take(B);
  const { releaseLease } = store;
  store.releaseLease = (lease) =>
    lease.journal === A
      ? Promise.reject(new CanopyError('storage_unavailable', 'away'))
      : releaseLease.call(store, lease);
  await expect(leases.giveUp()).rejects.toThrow('away');
  expect([await take(A, 'next'), await take(B, 'next')]).toEqual([false, true]);
});
