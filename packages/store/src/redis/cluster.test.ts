/** A Cluster whose slots move and whose masters die while commits come. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Command } from 'ioredis';
import { CanopyError, JOURNAL_START, type JournalRef, type Lease, asDuration } from '@canopy/model';
import {
  type RedisClusterServers,
  redisIsLeftOut,
  startRedisCluster,
  testJournal,
} from '../testing/index.js';
import {
  NO_LIMITS,
  add,
  cutOff,
  redisOptions,
  takeLease,
  until,
} from '../testing/redis-options.js';
import { RedisKeys } from './keys.js';
import { type RedisStore, openRedisStore } from './redis-store.js';

const keys = new RedisKeys('canopy:');

/** Commits one after the other until told to stop; counts what was acknowledged. */
class Committer {
  readonly lease: Lease;
  readonly #store: RedisStore;
  /** The last sequence of which the store said that it has it. */
  acknowledged = 0;
  /** `behind` and `absent`: the store had lost what it had acknowledged. */
  lost: string[] = [];
  wentBackTo = 0;
  failures: string[] = [];
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(store: RedisStore, lease: Lease) {
    this.#store = store;
    this.lease = lease;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const outcome = await add(this.#store, this.lease, this.acknowledged + 1);
        if (outcome === 'applied' || outcome === 'already_applied') this.acknowledged++;
        else await this.#goBack(outcome);
      } catch (error) {
        if (!(error instanceof CanopyError)) throw error;
        this.failures.push(`${error.code}: ${error.message}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** As a puller does: goes on from what the store says it has. */
  async #goBack(outcome: string): Promise<void> {
    this.lost.push(outcome);
    await this.#store.acquireLease(this.lease.journal, 'one', asDuration(60_000));
    this.acknowledged = (await this.#store.journal(this.lease.journal))?.position.sequence ?? 0;
    this.wentBackTo = this.acknowledged;
  }
}

async function sequencesOf(store: RedisStore, ref: JournalRef): Promise<number[]> {
  const entries = await store.readEntries(ref, JOURNAL_START, NO_LIMITS);
  return entries.map(({ sequence }) => sequence);
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

if (!redisIsLeftOut()) {
  describe('redis cluster', () => {
    let cluster: RedisClusterServers;
    let store: RedisStore;
    beforeAll(async () => {
      cluster = await startRedisCluster(3, true, [
        ...['--maxmemory', '100mb', '--cluster-require-full-coverage', 'no'],
      ]);
      const commandTimeout = asDuration(1000);
      store = await openRedisStore({ ...redisOptions(cluster.url), commandTimeout });
    });
    afterAll(async () => {
      await store[Symbol.asyncDispose]();
      await cluster.stop();
    });
    /** A journal whose slot `node` serves. */
    const journalAt = async (node: number): Promise<JournalRef> => {
      for (;;) {
        const ref = testJournal();
        if ((await cluster.masterOf(keys.state(ref))) === cluster.nodes[node]) return ref;
      }
    };

    it('says what it is, and keeps one source on one node', async () => {
      expect(store.health.message).toMatch(/a cluster of 3 masters .* maxmemory is 100MiB/);
      const lease = await takeLease(store, await journalAt(1));
      for (let sequence = 1; sequence <= 20; sequence++) await add(store, lease, sequence);
      const own = String(await cluster.nodes[1].command('keys', `*${lease.journal}*`));
      expect(own.split(',').length).toBeGreaterThan(6);
      for (const node of [0, 2]) {
        expect(await cluster.nodes[node].command('keys', `*${lease.journal}*`)).toEqual([]);
      }
      expect((await store.journals()).map(({ ref }) => ref)).toContain(lease.journal);
    });

    it('is as full as its fullest master', async () => {
      const node = cluster.nodes[2];
      const before = await store.usage();
      expect(before.limitBytes).toBe(3 * 100 * 1024 ** 2);
      await node.command('config', 'set', 'maxmemory', '10mb');
      const used = Number(
        /used_memory:(\d+)/.exec(String(await node.command('info', 'memory')))![1],
      );
      const { usedBytes, limitBytes } = await store.usage();
      expect(limitBytes).toBe(210 * 1024 ** 2);
      expect(usedBytes / limitBytes).toBeCloseTo(used / (10 * 1024 ** 2), 1);
      await node.command('config', 'set', 'maxmemory', '100mb');
    });

    it('refuses where one master would evict, by name', async () => {
      const node = cluster.nodes[1];
      await node.command('config', 'set', 'maxmemory-policy', 'allkeys-lru');
      await expect(openRedisStore(redisOptions(cluster.url))).rejects.toMatchObject({
        code: 'storage_unsuitable',
        message: expect.stringContaining(`127.0.0.1:${node.port} has maxmemory-policy`) as string,
      });
      // One that was open before notices with its next look at the memory, and when it is mended.
      expect(store.health.healthy).toBe(true);
      await store.usage();
      expect(store.health.message).toContain(`127.0.0.1:${node.port} has maxmemory-policy`);
      await node.command('config', 'set', 'maxmemory-policy', 'noeviction');
      await until(() =>
        store.usage().then(
          () => true,
          () => false,
        ),
      );
      expect(store.health.healthy).toBe(true);
    });

    it('is not taken for a Redis alone, nor one alone for a cluster', async () => {
      const alone = `redis://127.0.0.1:${cluster.nodes[0].port}`;
      await expect(openRedisStore(redisOptions(alone))).rejects.toMatchObject({
        code: 'storage_unsuitable',
        message: expect.stringContaining('redis+cluster://') as string,
      });
    });

    it('has a slot that nobody serves: CLUSTERDOWN', async () => {
      const ref = await journalAt(0);
      const lease = await takeLease(store, ref);
      expect(await add(store, lease, 1)).toBe('applied');
      const slot = `${new Command('get', [keys.state(ref)]).getSlot()}`;
      await cluster.nodes[0].command('cluster', 'delslots', slot);
      expect(await add(store, lease, 2).catch((error: unknown) => error)).toMatchObject({
        code: 'storage_unavailable',
        message: expect.stringContaining('without a master for every slot: CLUSTERDOWN') as string,
      });
      await cluster.nodes[0].command('cluster', 'addslots', slot);
      await until(async () => (await add(store, lease, 2).catch(() => '')) === 'applied');
      expect(await sequencesOf(store, ref)).toEqual(upTo(2));
    });

    it('moves a slot under load: ASK, TRYAGAIN, MOVED; each commit is there once', async () => {
      const ref = await journalAt(0);
      const to = cluster.nodes[1];
      const lease = await takeLease(store, ref);
      await using waiting = await openRedisStore({ ...redisOptions(cluster.url), waitReplicas: 1 });
      const committer = new Committer(store, lease);
      await until(() => committer.acknowledged > 20);
      await cluster.beginMove(keys.state(ref), to);
      await cluster.moveKeys(keys.state(ref), to, 2);
      // Some keys here, some there: a script with all of them cannot run, a read of each can.
      await until(() => committer.failures.some((text) => text.includes('TRYAGAIN')));
      const during = committer.acknowledged;
      expect(await sequencesOf(store, ref)).toEqual(upTo(during));
      expect((await store.journal(ref))!.position.sequence).toBe(during);
      await cluster.moveKeys(keys.state(ref), to);
      await cluster.endMove(keys.state(ref), to);
      await until(() => committer.acknowledged > during + 20);
      await committer.stop();
      expect(await cluster.masterOf(keys.state(ref))).toBe(to);
      expect(committer.lost).toEqual([]);
      expect(await sequencesOf(store, ref)).toEqual(upTo(committer.acknowledged));
      for (const text of committer.failures) expect(text).toMatch(/^storage_unavailable: /);
      // Commits that wait for replicas find the new master, too, and give it the script.
      await to.command('script', 'flush');
      expect(await add(waiting, lease, committer.acknowledged + 1)).toBe('applied');
    });

    it('loses a master whose replica is behind: what is lost shows, nothing is there twice', async () => {
      const [dying, heir] = [cluster.nodes[2], cluster.nodes[5]];
      const [ref, other] = [await journalAt(2), await journalAt(1)];
      const committer = new Committer(store, await takeLease(store, ref));
      const beside = new Committer(store, await takeLease(store, other));
      await until(() => committer.acknowledged > 50);
      const replicated = committer.acknowledged;
      const before = beside.acknowledged;
      await cutOff(dying, heir, () => until(() => committer.acknowledged > replicated + 20));
      const atKill = committer.acknowledged;
      // Sources on other masters are not held up by this one.
      await until(() => beside.acknowledged > before + 100);
      expect(beside.failures).toEqual([]);
      await until(() => committer.lost.length > 0 && committer.acknowledged > atKill, 15_000);
      await Promise.all([committer.stop(), beside.stop()]);
      await until(() => store.health.healthy);
      expect(committer.lost).toEqual(['behind']);
      expect(committer.wentBackTo).toBeGreaterThanOrEqual(replicated);
      expect(committer.wentBackTo).toBeLessThan(atKill);
      expect(await cluster.masterOf(keys.state(ref), cluster.nodes[0])).toBe(heir);
      expect(await sequencesOf(store, ref)).toEqual(upTo(committer.acknowledged));
      expect(await sequencesOf(store, other)).toEqual(upTo(beside.acknowledged));
      for (const text of committer.failures) expect(text).toMatch(/^storage_unavailable: /);
      expect((await store.journals()).map((state) => state.ref)).toContain(ref);
      await dying.start();
    });

    it('has a master that hangs: only its sources wait, until the replica has its place', async () => {
      const hung = cluster.nodes[1];
      const [ref, other] = [await journalAt(1), await journalAt(0)];
      const committer = new Committer(store, await takeLease(store, ref));
      const beside = new Committer(store, await takeLease(store, other));
      await until(() => committer.acknowledged > 10);
      process.kill(hung.pid, 'SIGSTOP');
      const atStop = committer.acknowledged;
      await until(() => !store.health.healthy);
      expect(store.health.message).toContain(`127.0.0.1:${hung.port} does not answer`);
      const before = beside.acknowledged;
      await until(() => beside.acknowledged > before + 100);
      await until(() => committer.acknowledged > atStop + 10, 15_000);
      await Promise.all([committer.stop(), beside.stop()]);
      process.kill(hung.pid, 'SIGCONT');
      await until(() => store.health.healthy);
      expect(beside.failures).toEqual([]);
      expect(await sequencesOf(store, ref)).toEqual(upTo(committer.acknowledged));
      expect(await sequencesOf(store, other)).toEqual(upTo(beside.acknowledged));
    });
  });
}
