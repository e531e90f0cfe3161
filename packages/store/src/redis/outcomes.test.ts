/** Each of Redis's refusals, from a real Redis that was driven into that state, and the way out of it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { JOURNAL_START, type Lease, asDuration } from '@canopy/model';
import {
  type RedisServer,
  type ServerOptions,
  redisIsLeftOut,
  startRedis,
} from '../testing/index.js';
import { NO_LIMITS, add, redisOptions, takeLease, until } from '../testing/redis-options.js';
import { OUTCOMES, outcomeWord, translate } from './outcomes.js';
import { type RedisStore, type RedisStoreOptions, openRedisStore } from './redis-store.js';

interface State {
  enter(): Promise<unknown>;
  leave(): Promise<unknown>;
}

if (!redisIsLeftOut()) {
  describe('a commit to a Redis that', () => {
    let server: RedisServer;
    let store: RedisStore;
    beforeAll(async () => {
      // A busy script is called so after 50 ms; saving is tried, so that it can fail.
      server = await startRedis(['--lua-time-limit', '50', '--save', '3600 1000000']);
      store = await openRedisStore(redisOptions(server.url));
    });
    afterAll(async () => {
      await store[Symbol.asyncDispose]();
      await server.stop();
    });
    const config = (name: string, value: string): Promise<unknown> =>
      server.command('config', 'set', name, value);

    /** Refused with code and words in that state; afterwards the same commit gets through, once. */
    const check = async (code: string, says: RegExp, { enter, leave }: State): Promise<void> => {
      const lease: Lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      await enter();
      try {
        for (let tries = 0; tries < 2; tries++) {
          const failure: unknown = await add(store, lease, 2).catch((error: unknown) => error);
          expect(failure).toMatchObject({
            code,
            message: expect.stringMatching(says) as string,
          });
        }
      } finally {
        await leave();
      }
      await until(async () => (await add(store, lease, 2).catch(() => '')) === 'applied');
      expect(await add(store, lease, 2)).toBe('already_applied');
      const entries = await store.readEntries(lease.journal, JOURNAL_START, NO_LIMITS);
      expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2]);
    };

    it('is full: OOM', () =>
      check('storage_full', /has reached maxmemory/, {
        enter: () => config('maxmemory', '1'),
        leave: () => config('maxmemory', '0'),
      }));

    it('has become a replica: READONLY, then its role is seen', async () => {
      const lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      // Of a master that is not there: it keeps its data.
      await server.command('replicaof', '127.0.0.1', '1');
      const said: string[] = [];
      await until(async () => {
        const failure: unknown = await add(store, lease, 2).catch((error: unknown) => error);
        said.push(String(failure));
        return store.health.message.includes('is a replica; the address of the master is needed');
      });
      expect(said[0]).toMatch(/is a replica now; the master is looked for: READONLY/);
      await server.command('replicaof', 'no', 'one');
      await until(async () => (await add(store, lease, 2).catch(() => '')) === 'applied');
      expect((await store.readEntries(lease.journal, JOURNAL_START, NO_LIMITS)).length).toBe(2);
    });

    it('runs a script without end: BUSY', () => {
      let script: Promise<unknown> = Promise.resolve();
      return check('storage_unavailable', /runs somebody's script .*SCRIPT KILL/, {
        async enter() {
          script = server.command('eval', 'while true do end', '0').catch(() => undefined);
          await until(async () => {
            const answer = await server.command('ping').catch((error: Error) => error.message);
            return String(answer).startsWith('BUSY');
          });
        },
        async leave() {
          await server.command('script', 'kill');
          await script;
        },
      });
    });

    it('has too few replicas: NOREPLICAS', () =>
      check('storage_unavailable', /min-replicas-to-write/, {
        enter: () => config('min-replicas-to-write', '1'),
        leave: () => config('min-replicas-to-write', '0'),
      }));

    it('pauses its clients: the first command times out, others fail at once', async () => {
      const commandTimeout = asDuration(400);
      await using hasty = await openRedisStore({ ...redisOptions(server.url), commandTimeout });
      const lease = await takeLease(hasty);
      expect(await add(hasty, lease, 1)).toBe('applied');
      await server.command('client', 'pause', '800');
      const failure: unknown = await add(hasty, lease, 2).catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: 'storage_unavailable',
        message: expect.stringContaining('Command timed out') as string,
      });
      expect(await add(hasty, lease, 2).catch((error: Error) => error.message)).toMatch(
        /does not answer: Command timed out/,
      );
      await until(() => hasty.health.healthy);
      // Redis ran it after the pause, when nobody waited for it any more.
      expect(await add(hasty, lease, 2)).toBe('already_applied');
      expect((await hasty.readEntries(lease.journal, JOURNAL_START, NO_LIMITS)).length).toBe(2);
    });

    it('breaks the connection: the command fails, the next one after it is back gets through', async () => {
      const lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      await server.command('client', 'pause', '300', 'write');
      const failing = add(store, lease, 2).catch((error: unknown) => error);
      await server.command('client', 'kill', 'type', 'normal', 'skipme', 'yes');
      expect(await failing).toMatchObject({
        code: 'storage_unavailable',
        message: expect.stringContaining('the connection broke') as string,
      });
      await until(async () => (await add(store, lease, 2).catch(() => '')) !== '');
      expect((await store.readEntries(lease.journal, JOURNAL_START, NO_LIMITS)).length).toBe(2);
    });

    it('cannot save to disk: MISCONF', () =>
      check('storage_unavailable', /cannot save to disk/, {
        async enter() {
          await rm(server.folder, { recursive: true });
          await server.command('bgsave');
          await until(async () =>
            String(await server.command('info', 'persistence')).includes('bgsave_status:err'),
          );
        },
        leave: () => config('stop-writes-on-bgsave-error', 'no'),
      }));
  });
  describe('a Redis that', () => {
    const opened: AsyncDisposable[] = [];
    const servers: RedisServer[] = [];
    const start = async (options: ServerOptions = {}): Promise<RedisServer> => {
      const server = await startRedis([], options);
      servers.push(server);
      return server;
    };
    const open = async (options: RedisStoreOptions): Promise<RedisStore> => {
      const store = await openRedisStore(options);
      opened.push(store);
      return store;
    };
    // Also of a test that fails.
    afterEach(async () => {
      for (const store of opened.splice(0)) await store[Symbol.asyncDispose]();
      for (const server of servers.splice(0)) await server.stop();
    });

    it('loads its data: LOADING, with how far it is; then it is used', async () => {
      const server = await start();
      const fill = "for i = 1, 120 do redis.call('SET', 'k' .. i, string.rep('x', 1000)) end";
      await server.command('eval', fill, '0');
      const before = await open(redisOptions(server.url));
      const lease = await takeLease(before);
      await add(before, lease, 1);
      await server.command('save');
      await server.kill();
      const slow = ['--key-load-delay', '10000', '--loading-process-events-interval-bytes', '1024'];
      await server.start(slow, 'Loading RDB');
      // One that starts meanwhile, and one that was there before.
      const store = await open(redisOptions(server.url));
      expect(store.health.message).toMatch(/is loading its data: \d+ %, about \d+ s left/);
      await until(() => before.health.message.includes('is loading its data'));
      for (const one of [before, store]) {
        const failure: unknown = await add(one, lease, 2).catch((error: unknown) => error);
        expect(failure).toMatchObject({
          code: 'storage_unavailable',
          message: expect.stringContaining('is loading its data') as string,
        });
      }
      await until(async () => (await add(store, lease, 2).catch(() => '')) === 'applied');
      expect(store.health.healthy).toBe(true);
      expect(await add(before, lease, 2)).toBe('already_applied');
    });

    it('was put back to an older backup: behind, and it goes on from there', async () => {
      const server = await start();
      const store = await open(redisOptions(server.url));
      const lease = await takeLease(store);
      for (let sequence = 1; sequence <= 5; sequence++) await add(store, lease, sequence);
      await server.command('save');
      const [dump, backup] = ['dump.rdb', 'backup.rdb'].map((name) => join(server.folder, name));
      await copyFile(dump, backup);
      for (let sequence = 6; sequence <= 9; sequence++) await add(store, lease, sequence);
      await server.kill();
      await copyFile(backup, dump);
      await server.start();
      await until(() => store.health.healthy);
      const commit = await store.commit({
        ...{ lease, expected: { epoch: 1, sequence: 9 }, position: { epoch: 1, sequence: 10 } },
        ...{ entries: [], cursor: '', ledger: '{}' },
      });
      expect(commit).toMatchObject({ outcome: 'behind', state: { position: { sequence: 5 } } });
      for (let sequence = 6; sequence <= 10; sequence++) {
        expect(await add(store, lease, sequence)).toBe('applied');
      }
      const entries = await store.readEntries(lease.journal, JOURNAL_START, NO_LIMITS);
      expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    });

    it('forbids a command to the user: NOPERM; INFO and CONFIG: said, not refused', async () => {
      const server = await start();
      const rule = ['on', '>pw', '~canopy:*', '+@all', '-config', '-info'];
      await server.command('acl', 'setuser', 'half', ...rule);
      const said: string[] = [];
      const log = (_level: string, text: string): void => void said.push(text);
      const url = server.url.replace('//', '//half:pw@');
      const store = await open({ ...redisOptions(url), log });
      expect(store.health.healthy).toBe(true);
      expect(said.join('\n')).toMatch(/may not run INFO: version, maxmemory, .* are not known/);
      expect(await store.usage()).toEqual({ usedBytes: 0, limitBytes: 0 });
      const lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      await server.command('acl', 'setuser', 'half', '-xadd', '-evalsha');
      expect(await add(store, lease, 2).catch((error: unknown) => error)).toMatchObject({
        code: 'storage_unsuitable',
        message: expect.stringMatching(/does not let the user .* do this/) as string,
      });
      // A script that is refused a command in its middle would leave half a commit behind: not begun.
      await expect(open({ ...redisOptions(url), log })).rejects.toMatchObject({
        code: 'storage_unsuitable',
        message: expect.stringMatching(/user .* run XADD \(README/) as string,
      });
      await server.command('acl', 'setuser', 'half', '+evalsha', '+xadd', '+info');
      expect(await add(store, lease, 2)).toBe('applied');
      const again = await open({ ...redisOptions(url), log });
      expect(again.health.message).toMatch(/CONFIG is forbidden: whether there is one/);
    });

    it('takes no password any more: NOAUTH, WRONGPASS; the secret is in no word of it', async () => {
      const server = await start({ password: 'hunter2' });
      const said: unknown[] = [];
      const log = (...words: unknown[]): void => void said.push(words);
      const refused: unknown[] = [];
      for (const [user, code] of [
        ['', 'NOAUTH'],
        [':hunter3@', 'WRONGPASS'],
      ]) {
        const url = server.url.replace('//', `//${user}`);
        const failure: unknown = await open({ ...redisOptions(url), log }).catch(
          (error: unknown) => error,
        );
        expect(failure, code).toMatchObject({
          code: 'storage_unsuitable',
          message: expect.stringContaining('refuses the user or password') as string,
        });
        refused.push(failure);
      }
      await server.command('acl', 'setuser', 'half', 'on', '>hunter4', '~*', '+@all');
      const url = server.url.replace('//', '//half:hunter4@');
      const store = await open({ ...redisOptions(url), log });
      const lease = await takeLease(store);
      // While it runs: no end of the process, for somebody may be changing it right now.
      await server.command('acl', 'setuser', 'half', 'resetpass', '>hunter5');
      await server.command('client', 'kill', 'user', 'half');
      await until(() => /WRONGPASS/.test(store.health.message));
      refused.push(await add(store, lease, 1).catch((error: unknown) => error));
      expect(refused.at(-1)).toMatchObject({ code: 'storage_unavailable' });
      await server.command('acl', 'setuser', 'half', '>hunter4');
      await until(async () => (await add(store, lease, 1).catch(() => '')) === 'applied');
      expect(inspect([refused, said, store.health], { depth: 20 })).not.toMatch(/hunter/);
    });
  });
}

describe('outcomes', () => {
  it('are the table of README.md', async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
    const rows = [...readme.matchAll(/^\| (`[A-Z`, ]+) \| `(\w+)` \|/gm)].flatMap(
      ([, words, code]) => words.split(', ').map((word) => [word.replaceAll('`', ''), code]),
    );
    const table = Object.entries(OUTCOMES).map(([word, { code }]) => [word, code]);
    expect(rows.sort()).toEqual(table.sort());
  });

  it('are found in the words of Redis 6, 7 and Valkey, and of scripts', () => {
    const check = (text: string, word: string): void =>
      expect(outcomeWord(new Error(text))).toBe(word);
    check(
      "OOM command not allowed when used memory > 'maxmemory'. script: ab, on @user_script:1.",
      'OOM',
    );
    check(
      'ERR Error running script (call to f_ab): @user_script:39: -OOM command not allowed',
      'OOM',
    );
    check("READONLY You can't write against a read only replica.", 'READONLY');
    check("ERR Error running script: @user_script: 3: -READONLY You can't write", 'READONLY');
    check(
      'Too many Cluster redirections. Last error: ReplyError: TRYAGAIN Multiple keys',
      'TRYAGAIN',
    );
    check('CLUSTERDOWN Hash slot not served', 'CLUSTERDOWN');
    check("ERR The user executing the script can't run this command or subcommand", 'NOPERM');
    check('ERR invalid password', 'WRONGPASS');
    check('WRONGPASS invalid username-password pair or user is disabled.', 'WRONGPASS');
    check('ERR value is not an integer', '');
    check('Connection is closed.', '');
    const silent = translate(new Error('Command timed out'), 'Redis at h:1');
    expect([silent.code, silent.message]).toEqual([
      'storage_unavailable',
      'Redis at h:1: Command timed out',
    ]);
  });
});
