/** A master under Sentinel that dies, and replicas that commits wait for. */
import { afterEach, describe, expect, it } from 'vitest';
import { randomBytes } from 'node:crypto';
import { JOURNAL_START, asDuration, asTime, labelsFromObject } from '@canopy/model';
import { JournalWriter } from '../journal/journal-writer.js';
import {
  type RedisSentinelServers,
  redisIsLeftOut,
  startRedisSentinel,
  systemClock,
} from '../testing/index.js';
import { readJournal } from '../testing/journal-reader.js';
import {
  NO_LIMITS,
  add,
  cutOff,
  redisOptions,
  replicated,
  takeLease,
  until,
} from '../testing/redis-options.js';
import { type RedisStore, openRedisStore } from './redis-store.js';

async function openWriter(store: RedisStore): Promise<JournalWriter> {
  return JournalWriter.open({
    ...{ store, clock: systemClock, randomBytes, owner: 'writer', log: () => {}, pathIdentity: '' },
    ...{ leaseTtl: asDuration(5000), commitInterval: asDuration(10), commitBytes: 1e6 },
    ...{ keyFrameEvery: 120, queueBytesMax: 1e6, onCommitted: () => {} },
    completeUpTo: () => systemClock.now(),
  });
}

if (!redisIsLeftOut()) {
  describe('redis by Sentinel', () => {
    let servers: RedisSentinelServers;
    let store: RedisStore;
    const start = async (waitReplicas: number): Promise<void> => {
      servers = await startRedisSentinel();
      const times = { waitTimeout: asDuration(300), commandTimeout: asDuration(1000) };
      store = await openRedisStore({ ...redisOptions(servers.url), ...times, waitReplicas });
    };
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await servers.stop();
    });

    it('fails over to a replica that is behind: a new epoch begins, the hole has a name', async () => {
      await start(0);
      expect(store.health.message).toMatch(/by Sentinel at .*\/mymaster/);
      const journal = await openWriter(store);
      const group = journal.openGroup({
        ...{ kind: 'aligned', target: labelsFromObject({ job: 'a' }), scrapeUrl: '' },
        interval: asDuration(1000),
      });
      group.addSlot(labelsFromObject({ __name__: 'm' }), -1);
      let time = 0;
      const write = (): Promise<void> => {
        time++;
        group.write(asTime(time), Uint8Array.of(1), Float64Array.of(time));
        return journal.flush();
      };
      for (let i = 0; i < 5; i++) await write();
      const lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      await cutOff(servers.master, servers.replica, async () => {
        for (let i = 0; i < 5; i++) await write();
        expect(await add(store, lease, 2)).toBe('applied');
      });
      // Acknowledged by the master alone: 6 to 10, and the second commit of the other journal.
      await write();
      await until(() => store.health.healthy);
      expect(await add(store, lease, 3)).toBe('behind');
      expect(await add(store, lease, 2)).toBe('applied');
      await write();
      await write();
      await until(() => journal.health.healthy);
      const read = await readJournal(store, journal.ref, 0);
      expect(read.undecodable).toBe(0);
      const times = read.frames.map((frame) => Number(frame.split(' ')[1]));
      expect(times.slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
      expect(times.slice(5)).toEqual(times.slice(5).filter((each) => each > 10));
      expect(times.at(-1)).toBe(time);
      expect(new Set(times).size).toBe(times.length);
      expect(journal.position.epoch).toBe(2);
      expect(read.gaps.filter((gap) => gap.group === 0 && gap.cause === 'restart')).toHaveLength(1);
      await journal.close();
    });

    it('waits for a replica: too few, and the commit is tried again; a failover then loses none', async () => {
      await start(1);
      const lease = await takeLease(store);
      await until(async () => (await add(store, lease, 1).catch(() => '')) !== '');
      process.kill(servers.replica.pid, 'SIGSTOP');
      for (let tries = 0; tries < 2; tries++) {
        expect(await add(store, lease, 2).catch((error: unknown) => error)).toMatchObject({
          code: 'storage_unavailable',
          message: expect.stringMatching(/0 of 1 replicas had the write after 300 ms/) as string,
        });
      }
      // Reads do not stand behind commits that wait.
      const waiting = add(store, lease, 2).catch(() => 'commit');
      const reading = store.journal(lease.journal).then(() => 'read');
      expect(await Promise.race([waiting, reading])).toBe('read');
      await waiting;
      process.kill(servers.replica.pid, 'SIGCONT');
      await until(async () => (await add(store, lease, 2).catch(() => '')) === 'already_applied');
      await until(() =>
        store.putDocument('registry', 'text').then(
          () => true,
          () => false,
        ),
      );
      await cutOff(servers.master, servers.replica, async () => {
        expect(await add(store, lease, 3).catch(({ code }: { code: string }) => code)).toBe(
          'storage_unavailable',
        );
      });
      // The replica never had the third one, and nobody was told otherwise.
      await until(
        async () => (await store.journal(lease.journal).catch(() => undefined)) !== undefined,
      );
      expect((await store.journal(lease.journal))!.position.sequence).toBe(2);
      expect(await store.getDocument('registry')).toBe('text');
      const entries = await store.readEntries(lease.journal, JOURNAL_START, NO_LIMITS);
      expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2]);
      // Alone it has no replica: still refused, though it is there.
      expect(await add(store, lease, 3).catch(({ code }: { code: string }) => code)).toBe(
        'storage_unavailable',
      );
    });

    it('leaves a master that hangs for the one that Sentinel names', async () => {
      await start(0);
      const lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      await replicated(servers.master, servers.replica);
      process.kill(servers.master.pid, 'SIGSTOP');
      expect(await add(store, lease, 2).catch((error: unknown) => error)).toMatchObject({
        message: expect.stringContaining('Command timed out') as string,
      });
      await until(async () => (await add(store, lease, 2).catch(() => '')) === 'applied', 15_000);
      process.kill(servers.master.pid, 'SIGCONT');
      const entries = await store.readEntries(lease.journal, JOURNAL_START, NO_LIMITS);
      expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2]);
    });
  });
}
