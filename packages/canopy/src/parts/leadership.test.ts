import { MemoryStore } from '@canopy/federation/testing';
import { CanopyError, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { Leadership, STORE_LEASE } from './leadership.js';

const TTL = asDuration(8000);

function rig() {
  const clock = new VirtualClock();
  const store = new MemoryStore(clock);
  const said: string[] = [];
  const trouble = { isDown: false, failLead: false };
  const leadership = new Leadership({
    store: {
      acquireLease: (ref, owner, ttl) =>
        trouble.isDown
          ? Promise.reject(new CanopyError('storage_unavailable', 'down'))
          : store.acquireLease(ref, owner, ttl),
      releaseLease: (lease) => store.releaseLease(lease),
    },
    ...{ clock, owner: 'me', ttl: TTL, every: asDuration(2000), log: () => {} },
    lead: () => {
      said.push('lead');
      if (trouble.failLead) return Promise.reject(new CanopyError('storage_unavailable', 'no'));
      return Promise.resolve();
    },
    follow: (heldBy) => {
      said.push(`follow ${heldBy}`);
      return Promise.resolve();
    },
  });
  const other = (ttl: number) => store.acquireLease(STORE_LEASE, 'other', asDuration(ttl));
  return { clock, said, trouble, leadership, other };
}

it('leads at once where nobody does, renews, and gives back', async () => {
  const { clock, said, leadership, other } = rig();
  await leadership.start();
  expect([said, leadership.leads]).toEqual([['lead'], true]);
  for (let i = 0; i < 20; i++) await clock.advance(1000);
  expect((await other(1)).granted).toBe(false);
  await leadership.stop();
  expect((await other(1)).granted).toBe(true);
  expect(said).toEqual(['lead']);
});

it('follows until the lease runs out, and takes over at that moment', async () => {
  const { clock, said, leadership, other } = rig();
  await other(7500);
  await leadership.start();
  expect([leadership.leads, leadership.heldBy]).toEqual([false, 'other']);
  await clock.advance(7490);
  expect(said).toEqual(['follow other']);
  await clock.advance(20);
  expect(said).toEqual(['follow other', 'lead']);
  await leadership.stop();
});

it('steps back when another has taken the lease, also when that one is gone again', async () => {
  const { clock, said, trouble, leadership, other } = rig();
  await leadership.start();
  // As good as frozen: nothing is renewed.
  trouble.isDown = true;
  await clock.advance(9000);
  expect(leadership.leads).toBe(true);
  await other(9000);
  trouble.isDown = false;
  await clock.advance(2000);
  expect(said).toEqual(['lead', 'follow other']);
  await clock.advance(8000);
  expect(said).toEqual(['lead', 'follow other', 'lead']);
  trouble.isDown = true;
  await clock.advance(9000);
  await other(100);
  await clock.advance(200);
  trouble.isDown = false;
  await clock.advance(2000);
  expect(said.slice(3)).toEqual(['follow ', 'lead']);
  await leadership.stop();
});

it('a failed start is the caller’s; a failed take-over gives the lease to another', async () => {
  const first = rig();
  first.trouble.failLead = true;
  await expect(first.leadership.start()).rejects.toThrow('no');
  await first.leadership.stop();

  const { clock, said, trouble, leadership, other } = rig();
  await other(1000);
  await leadership.start();
  trouble.failLead = true;
  await clock.advance(1500);
  expect(leadership.leads).toBe(false);
  expect((await other(100)).granted).toBe(true);
  trouble.failLead = false;
  await clock.advance(4000);
  expect([leadership.leads, said.at(-1)]).toEqual([true, 'lead']);
  await leadership.stop();
});
