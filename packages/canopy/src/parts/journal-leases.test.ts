import { asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { A, B, storeWithJournals } from '../testing/two-journals.js';
import { giveUpJournals } from './journal-leases.js';

const TTL = asDuration(8000);

it('gives back what it holds, and leaves others what they hold', async () => {
  const clock = new VirtualClock();
  const store = await storeWithJournals(clock);
  await clock.advance(86_400_000);
  const take = async (ref: typeof A, owner: string) =>
    (await store.acquireLease(ref, owner, TTL)).granted;
  expect([await take(A, 'me'), await take(B, 'other')]).toEqual([true, true]);
  expect(await take(A, 'next')).toBe(false);
  await giveUpJournals(store, 'me', TTL);
  expect([await take(A, 'next'), await take(B, 'next')]).toEqual([true, false]);
});
