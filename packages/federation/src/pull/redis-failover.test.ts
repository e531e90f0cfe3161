import { describe, expect, it, onTestFinished } from 'vitest';
import { VirtualClock } from '@canopy/model/testing';
import { openRedisStore } from '@canopy/store';
import {
  cutOff,
  redisIsLeftOut,
  redisOptions,
  startRedisSentinel,
  systemClock,
  until,
} from '@canopy/store/testing';
import { FixtureJournal } from '../testing/fixture-journal.js';
import { MemoryStore } from '../testing/memory-store.js';
import { PullRig, ServerRig, id } from '../testing/rig.js';

const T0 = 1_700_000_000_000;

describe.skipIf(redisIsLeftOut())('a puller whose Redis fails over', () => {
  it('pulls again what the replica lacks: the store has the leaf’s records, each once', async () => {
    const clock = new VirtualClock(T0);
    const leaf = new MemoryStore(clock);
    const journal = new FixtureJournal(leaf, id('a'));
    const server = await new ServerRig(leaf, clock, id('a'), {}).listen();
    onTestFinished(() => server.close());
    const servers = await startRedisSentinel();
    onTestFinished(() => servers.stop());
    const store = await openRedisStore(redisOptions(servers.url));
    onTestFinished(() => store[Symbol.asyncDispose]());
    const parent = new PullRig(store, systemClock);
    let frames = 0;
    const pullNext = async (): Promise<void> => {
      frames++;
      journal.frame(1, T0 + frames * 1000, [1, frames]);
      await journal.commit();
      await parent.pullAll(server.target());
    };
    journal.layout(1, ['up', 'a_total']);
    for (let i = 0; i < 5; i++) await pullNext();
    const replicated = (await store.journal(journal.ref))!.position;
    await cutOff(servers.master, servers.replica, async () => {
      for (let i = 0; i < 5; i++) await pullNext();
    });
    await expect(pullNext()).rejects.toMatchObject({ code: 'storage_unavailable' });
    await until(() =>
      pullNext().then(
        () => true,
        () => false,
      ),
    );
    expect(parent.puller.totals).toMatchObject({ behind: 1, absent: 0 });
    expect(parent.wentBack).toEqual([`a ${replicated.sequence}`]);
    const [start, limits] = [
      { epoch: 0, sequence: 0 },
      { maxBytes: 1e9, maxEntries: 1e9 },
    ];
    const there = await store.readEntries(journal.ref, start, limits);
    const journalled = await leaf.readEntries(journal.ref, start, limits);
    expect(there.map(({ sequence }) => sequence)).toEqual(
      journalled.map(({ sequence }) => sequence),
    );
    expect(there.map(({ bytes }) => Buffer.from(bytes))).toEqual(
      journalled.map(({ bytes }) => Buffer.from(bytes)),
    );
    await parent.puller.close();
  });
});
