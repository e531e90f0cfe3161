import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { Redis } from 'ioredis';
import {
  JOURNAL_START,
  type JournalPosition,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { JournalWriter } from '../journal/journal-writer.js';
import { readJournal } from '../testing/journal-reader.js';
import { testEntry } from '../testing/fixtures.js';
import {
  type RedisServer,
  redisIsLeftOut,
  startRedis,
  storeConformance,
  systemClock,
} from '../testing/index.js';
import { isTestClient } from '../testing/redis-server.js';
import { NO_LIMITS, add, redisOptions, takeLease, until } from '../testing/redis-options.js';
import { findComplaint, parseInfo } from './inspect.js';
import { type RedisStore, openRedisStore } from './redis-store.js';
import { firstSliceToRead, planTrim, sortedSlices } from './slices.js';

if (!redisIsLeftOut()) {
  storeConformance(
    'redis',
    async () => {
      const server = await startRedis();
      return {
        open: (onCorrupt) => openRedisStore({ ...redisOptions(server.url), onCorrupt }),
        remove: () => server.stop(),
      };
    },
    { describe, it, expect, beforeAll, afterAll },
  );

  describe('redis store', () => {
    let server: RedisServer;
    let store: RedisStore;
    beforeAll(async () => {
      server = await startRedis();
      store = await openRedisStore(redisOptions(server.url));
    });
    afterAll(async () => {
      await store[Symbol.asyncDispose]();
      await server.stop();
    });

    it('removes no chunk of a block whose record, by which it was to go, is not there any more', async () => {
      const lease = await takeLease(store);
      await add(store, lease, 1);
      const id = await store.nextBlock(lease);
      await store.putBlockChunks(lease, id, 0, [new Uint8Array(10)]);
      const times = { from: asTime(0), to: asTime(9), minTime: asTime(0), maxTime: asTime(8) };
      const meta = {
        ...{ id, ...times, last: { epoch: 1, sequence: 1 }, groups: 1, tiles: 1, series: 1 },
        ...{ resolution: asDuration(0), intervalMax: asDuration(0), tileBytes: 10, indexBytes: 0 },
      };
      await store.finishBlock(lease, meta, { tiles: [], blocks: [] });
      const key = `canopy:{${lease.journal}}:blocks`;
      const record = String(await server.command('hget', key, String(id)));
      await server.command('hdel', key, String(id));
      await store.dropBlocks(lease, [meta]);
      const read = () =>
        store.readBlocks(lease.journal, [{ block: id, position: 0, byteLength: 10 }]);
      expect(await read()).toEqual([Buffer.alloc(10)]);
      await server.command('hset', key, String(id), record);
      await store.dropBlocks(lease, [meta]);
      expect(await read()).toEqual([undefined]);
    });

    it('rolls slices, reads across them and drops them whole', async () => {
      const lease = await takeLease(store);
      const ref = lease.journal;
      for (let sequence = 1; sequence <= 40; sequence++) await add(store, lease, sequence);
      const slicesKey = `canopy:{${ref}}:slices`;
      expect(Number(await server.command('hlen', slicesKey))).toBe(10);
      const read = async (after: number): Promise<number[]> =>
        (await store.readEntries(ref, { epoch: 1, sequence: after }, NO_LIMITS)).map(
          (entry) => entry.sequence,
        );
      for (const after of [0, 3, 4, 5, 39, 40]) {
        expect(await read(after)).toEqual(
          Array.from({ length: 40 - after }, (_, i) => after + i + 1),
        );
      }
      const before = (await store.journal(ref))!.entryBytes;
      const freed = await store.trimJournal(lease, { epoch: 1, sequence: 18 });
      expect(await read(0)).toEqual(Array.from({ length: 22 }, (_, i) => 19 + i));
      expect(Number(await server.command('hlen', slicesKey))).toBe(6);
      expect((await store.journal(ref))!.entryBytes).toBe(before - freed);
      expect(freed / before).toBeCloseTo(18 / 40, 1);
      // What a client believes of slices is checked: another one goes on where this one left.
      const other = await openRedisStore(redisOptions(server.url));
      expect(await add(other, lease, 41)).toBe('applied');
      for (let sequence = 42; sequence <= 60; sequence++) await add(other, lease, sequence);
      expect(await add(store, lease, 61)).toBe('applied');
      expect((await read(0)).at(-1)).toBe(61);
      await other[Symbol.asyncDispose]();
    });

    it('commits in one round trip, however many entries there are', async () => {
      const lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      const sent: string[] = [];
      const { sendCommand } = Redis.prototype;
      Redis.prototype.sendCommand = function (command, ...more) {
        if (!isTestClient(this)) sent.push(command.name);
        return sendCommand.call(this, command, ...more);
      };
      try {
        const entries = Array.from({ length: 300 }, (_, i) =>
          testEntry({ epoch: 1, sequence: 2 + i }),
        );
        const position = { epoch: 1, sequence: 301 };
        const outcome = await store.commit({
          ...{ lease, expected: { epoch: 1, sequence: 1 }, position, entries },
          ...{ cursor: 'c', ledger: 'l' },
        });
        expect(outcome).toEqual({ outcome: 'applied' });
      } finally {
        Redis.prototype.sendCommand = sendCommand;
      }
      expect(sent).toEqual(['evalsha']);
    });

    it('notices a wiped Redis, and starts again', async () => {
      const lease = await takeLease(store);
      await add(store, lease, 1);
      await server.command('flushall');
      expect(await add(store, lease, 2)).toBe('absent');
      expect(await add(store, lease, 1)).toBe('fenced');
      const again = await store.acquireLease(lease.journal, 'one', asDuration(60_000));
      expect(again.granted && (await add(store, again.lease, 1))).toBe('applied');
      expect((await store.journals()).map(({ ref }) => ref)).toEqual([lease.journal]);
    });

    it('carries a journal; wiped below it, a new epoch begins and the hole has a name', async () => {
      const journal = await JournalWriter.open({
        store,
        clock: systemClock,
        randomBytes,
        owner: 'writer',
        leaseTtl: asDuration(5000),
        commitInterval: asDuration(10),
        commitBytes: 1e6,
        keyFrameEvery: 120,
        queueBytesMax: 1e6,
        onCommitted: () => {},
        completeUpTo: () => systemClock.now(),
        log: () => {},
        pathIdentity: '',
      });
      const group = journal.openGroup({
        kind: 'aligned',
        target: labelsFromObject({ job: 'a' }),
        scrapeUrl: '',
        interval: asDuration(1000),
      });
      group.addSlot(labelsFromObject({ __name__: 'm' }), -1);
      const write = (time: number): void =>
        group.write(asTime(time), Uint8Array.of(1), Float64Array.of(time));
      write(1000);
      write(2000);
      await journal.flush();
      const before = await readJournal(store, journal.ref, 0);
      expect(before.frames).toEqual(['a 1000 m=1000', 'a 2000 m=2000']);
      await server.command('flushall');
      write(3000);
      await journal.flush();
      write(4000);
      await journal.flush();
      const after = await readJournal(store, journal.ref, 0);
      expect(after.frames).toEqual(['a 4000 m=4000']);
      expect(after.gaps.map((gap) => [gap.group, gap.cause, gap.frames])).toEqual([
        [0, 'restart', -1],
        [1, 'refused', 1],
      ]);
      expect(journal.position.epoch).toBe(2);
      expect(await store.getDocument('journal/id')).toContain(journal.id);
      await journal.close();
    });

    it('loads its scripts again where the server forgot them', async () => {
      const lease = await takeLease(store);
      await server.command('script', 'flush');
      expect(await add(store, lease, 1)).toBe('applied');
    });
  });

  describe('a Redis that is away or unsuitable', () => {
    const servers: RedisServer[] = [];
    const start = async (...args: string[]): Promise<RedisServer> => {
      const server = await startRedis(args);
      servers.push(server);
      return server;
    };
    afterEach(async () => {
      for (const server of servers.splice(0)) await server.stop();
    });

    it('opens without it, fails fast, and connects by itself', async () => {
      const server = await start();
      await server.kill();
      const store = await openRedisStore(redisOptions(server.url));
      expect(store.health.healthy).toBe(false);
      expect(store.health.message).toContain(`127.0.0.1:${server.port}`);
      const begun = Date.now();
      await expect(store.journals()).rejects.toMatchObject({ code: 'storage_unavailable' });
      await expect(store.usage()).rejects.toMatchObject({ code: 'storage_unavailable' });
      expect(Date.now() - begun).toBeLessThan(5000);
      await server.start();
      await until(() => store.health.healthy);
      const lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      await server.kill();
      await expect(add(store, lease, 2)).rejects.toMatchObject({ code: 'storage_unavailable' });
      await store[Symbol.asyncDispose]();
    });

    it('bounds a command to a server that hangs', async () => {
      const server = await start();
      const store = await openRedisStore({
        ...redisOptions(server.url),
        commandTimeout: asDuration(200),
      });
      const lease = await takeLease(store);
      process.kill(server.pid, 'SIGSTOP');
      await expect(add(store, lease, 1)).rejects.toMatchObject({ code: 'storage_unavailable' });
      // Only the first waits: a query must not hang for every tile it would like to read.
      expect(store.health.healthy).toBe(false);
      const begun = performance.now();
      for (let i = 0; i < 10; i++) {
        await expect(store.journals()).rejects.toMatchObject({ code: 'storage_unavailable' });
      }
      expect(performance.now() - begun).toBeLessThan(10 * 200);
      process.kill(server.pid, 'SIGCONT');
      await until(() => store.health.healthy);
      // The command that timed out may have got through: either is right, nothing is there twice.
      expect(['applied', 'already_applied']).toContain(await add(store, lease, 1));
      expect((await store.readEntries(lease.journal, JOURNAL_START, NO_LIMITS)).length).toBe(1);
      await store[Symbol.asyncDispose]();
    });

    it.each([
      ['the connection for commands', 0],
      ['those on which replicas are waited for', 1],
    ])('gives up a connection that is swallowed for ever: %s', async (_what, waitReplicas) => {
      const server = await start('--repl-diskless-sync-delay', '0');
      if (waitReplicas > 0) await start('--replicaof', '127.0.0.1', String(server.port));
      const lines = new Set<Socket>();
      const proxy = createServer((client) => {
        const line = connect(server.port, '127.0.0.1');
        for (const socket of [client, line]) {
          lines.add(socket);
          socket.on('error', () => {});
        }
        client.pipe(line).pipe(client);
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      const { port } = proxy.address() as AddressInfo;
      const store = await openRedisStore({
        ...redisOptions(`redis://127.0.0.1:${port}`),
        ...{ commandTimeout: asDuration(300), waitTimeout: asDuration(300), waitReplicas },
      });
      const lease = await takeLease(store);
      const isTaken = (sequence: number) => (): Promise<boolean> =>
        add(store, lease, sequence).then(
          () => true,
          () => false,
        );
      await until(isTaken(1));
      // Both ends stay open, and nothing gets through any more; new ones are sound.
      for (const socket of lines) socket.unpipe().removeAllListeners('data').pause();
      await expect(add(store, lease, 2)).rejects.toMatchObject({ code: 'storage_unavailable' });
      await until(isTaken(2));
      await store[Symbol.asyncDispose]();
      for (const socket of lines) socket.destroy();
      proxy.close();
    });

    it('is refused where it would evict, until that is mended', async () => {
      const server = await start('--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru');
      await expect(openRedisStore(redisOptions(server.url))).rejects.toMatchObject({
        code: 'storage_unsuitable',
        message: expect.stringContaining('CONFIG SET maxmemory-policy noeviction') as string,
      });
      await server.command('config', 'set', 'maxmemory-policy', 'noeviction');
      const said: string[] = [];
      const log = (_level: string, message: string) => void said.push(message);
      const store = await openRedisStore({ ...redisOptions(server.url), log });
      expect(said.join()).toContain('maxmemory is 50MiB, nothing is saved to disk');
      expect((await store.usage()).limitBytes).toBe(50 * 1024 * 1024);
      await store[Symbol.asyncDispose]();
    });

    it('says that it is full', async () => {
      const server = await start('--maxmemory', '3mb');
      const store = await openRedisStore(redisOptions(server.url));
      const lease = await takeLease(store);
      let sequence = 0;
      await expect(
        (async () => {
          for (;;) await add(store, lease, ++sequence, 100_000);
        })(),
      ).rejects.toMatchObject({ code: 'storage_full' });
      expect(sequence).toBeGreaterThan(5);
      const state = (await store.journal(lease.journal))!;
      expect(state.position.sequence).toBe(sequence - 1);
      await store.trimJournal(lease, { epoch: 1, sequence: sequence - 2 });
      expect(await add(store, lease, sequence, 1000)).toBe('applied');
      await store[Symbol.asyncDispose]();
    });

    it('lets its holder make room where others have filled it', async () => {
      const server = await start('--maxmemory', '20mb');
      const store = await openRedisStore(redisOptions(server.url));
      const lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      const meta = {
        ...{ epoch: 1, group: 1, firstSequence: 1, lastSequence: 1, byteLength: 1e6 },
        ...{ minTime: asTime(1), maxTime: asTime(2) },
      };
      await store.putTiles(lease, [{ meta, bytes: new Uint8Array(1e6) }]);
      const fill = "for i = 1, 30 do redis.call('SET', 'foreign' .. i, string.rep('x', 1e6)) end";
      await server.command('eval', fill, '0');
      expect(await add(store, lease, 2).catch((error: Error) => error)).toMatchObject({
        code: 'storage_full',
      });
      const ref = lease.journal;
      expect(await store.acquireLease(ref, 'one', asDuration(60_000))).toMatchObject({ lease });
      // Tiles get through as well: the journal is cut behind them.
      const next = { ...meta, firstSequence: 2, lastSequence: 2 };
      await store.putTiles(lease, [{ meta: next, bytes: new Uint8Array(1e6) }]);
      expect(await store.tiles(ref)).toHaveLength(2);
      await store.dropTiles(lease, [meta, next]);
      expect(await store.tiles(ref)).toEqual([]);
      expect(await store.trimJournal(lease, { epoch: 1, sequence: 1 })).toBeGreaterThan(0);
      await store[Symbol.asyncDispose]();
    });

    it('is refused with a wrong password, which is not repeated', async () => {
      const server = await start('--requirepass', 'right');
      for (const secret of ['', ':wr0ng@']) {
        const url = server.url.replace('//', `//${secret}`);
        const failure: unknown = await openRedisStore(redisOptions(url)).catch(
          (error: unknown) => error,
        );
        expect(failure).toMatchObject({ code: 'storage_unsuitable' });
        expect(String(failure)).not.toContain('wr0ng');
      }
      const store = await openRedisStore(redisOptions(server.url.replace('//', '//:right@')));
      expect(store.health.healthy).toBe(true);
      await store[Symbol.asyncDispose]();
    });
  });
}

describe('findComplaint', () => {
  const check = (info: string, expected: RegExp): void => {
    expect(findComplaint(parseInfo(info.replaceAll(' ', '\r\n')))).toMatch(expected);
  };
  it('knows what cannot be used', () => {
    check('redis_version:6.2.0 maxmemory_policy:noeviction', /^$/);
    check('redis_version:7.2.4 valkey_version:9.0.0 maxmemory_policy:noeviction', /^$/);
    check('redis_version:6.0.16', /version 6.0.16; 6.2 or later/);
    check('redis_version:5.0.0', /version 5.0.0/);
    check('redis_version:8.0.0 maxmemory_policy:volatile-ttl', /volatile-ttl/);
    check('redis_version:8.0.0 role:slave', /replica/);
  });
});

describe('slices', () => {
  const slices = sortedSlices('p{r}:slices', {
    ...{ 10: '1-100 30', 9: '1-50 20', 8: '1-1 10', 11: '2-1 5' },
  });
  const at = (epoch: number, sequence: number): JournalPosition => ({ epoch, sequence });
  it('finds where to read', () => {
    const check = (after: JournalPosition, expected: number): void => {
      expect(slices[firstSliceToRead(slices, after)].slice).toBe(expected);
    };
    // One before the first that may hold some.
    check(at(0, 0), 8);
    check(at(1, 49), 8);
    check(at(1, 50), 8);
    check(at(1, 1000), 9);
    check(at(2, 0), 9);
    check(at(9, 9), 10);
  });
  it('are refused where they cannot be', () => {
    const check = (fields: Record<string, string>, field: string): void => {
      expect(() => sortedSlices('p{r}:slices', fields)).toThrow(
        `p{r}:slices in Redis is damaged (${field}). Restore a copy, or UNLINK all keys of the journal (p{r}:*)`,
      );
    };
    check({ 1: '1-1 10', 3: '1-5 10' }, '3');
    check({ 1: '1-5 10', 2: '1-1 10' }, '2');
    check({ 1: '1-5 10', 2: '1-5 10' }, '2');
    check({ 1: '1-1 x' }, '1');
    check({ 1: '1-1' }, '1');
    check({ 1: 'x 10' }, '1');
    check({ 0: '1-1 10' }, '0');
    check({ x: '1-1 10' }, 'x');
    check({ '-1': '1-1 10' }, '-1');
  });
  it('plans a trim', () => {
    const check = (upTo: JournalPosition, expected: string[]): void => {
      const steps = planTrim(slices, { position: at(2, 7) }, upTo);
      const words = steps.map(
        ({ slice, limit, firstKept }) =>
          `${slice} ${limit.epoch}-${limit.sequence} ${firstKept || 'whole'}`,
      );
      expect(words).toEqual(expected);
    };
    check(at(0, 5), []);
    check(at(1, 49), ['8 1-49 1-50']);
    check(at(1, 50), ['8 1-49 whole', '9 1-50 1-51']);
    check(at(9, 9), ['8 1-49 whole', '9 1-99 whole', '10 2-0 whole', '11 2-7 2-8']);
  });
});
