/** The suite that every Store passes, on Redis by TLS with least rights, on a Cluster, behind a Sentinel. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFile } from 'node:fs/promises';
import { CA_CERT, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '@canopy/scrape/testing';
import {
  type RedisServer,
  redisIsLeftOut,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
  storeConformance,
} from '../testing/index.js';
import { findNewer, readCommandDocs } from '../testing/command-docs.js';
import { CommandRecord, SLOWLOG_ALL } from '../testing/command-record.js';
import { redisOptions } from '../testing/redis-options.js';
import { openRedisStore } from './redis-store.js';
import { commandsOf, readScripts } from './scripts.js';

const api = { describe, it, expect, beforeAll, afterAll };
const SERVER_TLS = {
  ...{ ca: CA_CERT, cert: SERVER_CERT, key: SERVER_KEY },
  ...{ clientCert: CLIENT_CERT, clientKey: CLIENT_KEY },
};
const CLIENT_TLS = { ca: CA_CERT, cert: CLIENT_CERT, key: CLIENT_KEY };

/** The line `ACL SETUSER canopy …` of README.md, as people will copy it. */
async function aclRule(): Promise<string[]> {
  const readme = await readFile(new URL('../../../../README.md', import.meta.url), 'utf8');
  const line = /^ACL SETUSER (canopy .*)$/m.exec(readme);
  if (line === null) throw new Error('README.md has no ACL rule');
  return line[1].split(' ');
}

/** Sentinels are asked what they have had since 2.8; ioredis tells them its name, and does without where they refuse it. */
const TO_SENTINELS = new Set([
  'sentinel|get-master-addr-by-name',
  'sentinel|sentinels',
  'client|setinfo',
]);
/**
 * Everybody may log in; where CONFIG GET is forbidden the start says what it does not know; ioredis sends the last two to
 * nodes of a cluster and goes on where they are refused, as they are here.
 */
const WITHOUT_RIGHTS = ['hello', 'auth', 'config|get', 'client|setname', 'readonly'];
/** How a server that fell silent is asked whether it is back: outcomes.test.ts. */
const WHEN_SILENT = ['ping'];

async function startWithUser(): Promise<{ server: RedisServer; url: string }> {
  const server = await startRedis(SLOWLOG_ALL, { tls: SERVER_TLS });
  await server.command('acl', 'setuser', ...(await aclRule()));
  return { server, url: server.url.replace('//', '//canopy:SECRET@') };
}

if (!redisIsLeftOut()) {
  const record = new CommandRecord();
  beforeAll(() => record.begin());
  afterAll(() => record.end());

  storeConformance(
    'redis by TLS, with the ACL rule of README.md',
    async () => {
      const { server, url } = await startWithUser();
      return {
        open: (onCorrupt) => openRedisStore({ ...redisOptions(url), tls: CLIENT_TLS, onCorrupt }),
        async remove() {
          await record.addScripts(server, commandsOf(await readScripts()));
          await server.stop();
        },
      };
    },
    api,
  );
  storeConformance(
    'redis cluster of six by TLS, with the ACL rule',
    async () => {
      const cluster = await startRedisCluster(3, true, [], SERVER_TLS);
      const rule = await aclRule();
      for (const node of cluster.nodes) await node.command('acl', 'setuser', ...rule);
      const url = cluster.url.replace('//', '//canopy:SECRET@');
      return {
        open: (onCorrupt) => openRedisStore({ ...redisOptions(url), tls: CLIENT_TLS, onCorrupt }),
        remove: () => cluster.stop(),
      };
    },
    api,
  );
  storeConformance(
    'redis by Sentinel and TLS, commits waiting for a replica',
    async () => {
      const secrets = { server: 'one', sentinel: 'two' };
      const sentinel = await startRedisSentinel(secrets, SERVER_TLS);
      const options = { ...redisOptions(sentinel.url), tls: CLIENT_TLS, waitReplicas: 1 };
      return {
        open: (onCorrupt) => openRedisStore({ ...options, onCorrupt }),
        remove: () => sentinel.stop(),
      };
    },
    api,
  );

  describe('what was sent until here', () => {
    let server: RedisServer;
    beforeAll(async () => {
      server = await startRedis();
    });
    afterAll(() => server.stop());

    it('is what Redis 6.2 has', async () => {
      const docs = await readCommandDocs(server);
      const toServers = record.sent.filter(({ name }) => !TO_SENTINELS.has(name));
      expect(toServers.length).toBeGreaterThan(30);
      expect(toServers.map((sent) => findNewer(docs, sent)).filter(Boolean)).toEqual([]);
      // The canary: what came later is found, in commands and in their options.
      const check = (line: string, expected: RegExp): void => {
        const [name, ...args] = line.split(' ');
        expect(findNewer(docs, { name, args })).toMatch(expected);
      };
      check('lmpop 1 key LEFT', /lmpop came with 7\.0\.0/);
      check('client|no-evict on', /client\|no-evict came with 7/);
      check('hsetex key EX 1 FIELDS 1 f v', /hsetex is not a command/);
      check('expire key 10 NX', /expire .*7\.0\.0/);
      check('shutdown NOW', /shutdown .*7\.0\.0/);
      check('client|kill MAXAGE 10', /client\|kill of 6\.2 does not take: MAXAGE/);
      check('set key value NX GET', /set as it is since 7/);
      check('xadd key 5-* field value', /xadd as it is since 7/);
      check('xadd key NOMKSTREAM MINID = 5 5-1 field value', /^$/);
      check('set key value GET EX 10', /^$/);
      check('set key value GET EX', /set of 6\.2 does not take/);
    });

    it('is all that scripts run, and of what Redis gives scripts they use what 6.2 has', async () => {
      const scripts = await readScripts();
      const names = new Set(record.sent.map(({ name }) => name));
      for (const command of commandsOf(scripts)) expect(names).toContain(command.toLowerCase());
      const used = [...scripts.values()].flatMap(({ lua }) => {
        // Declarations of scripts (`#!lua`) came with 7.
        expect(lua.startsWith('-- ')).toBe(true);
        return [...lua.matchAll(/redis\.(\w+)/g)].map(([, name]) => name);
      });
      // The second one is asked for only where there is one.
      expect([...new Set(used)].sort()).toEqual(['acl_check_cmd', 'call']);
      expect(scripts.get('allowed')!.lua).toContain('if redis.acl_check_cmd then');
    });

    it('is what the ACL rule of README.md allows, and no less', async () => {
      const allowed = (await aclRule()).flatMap((word) => /^\+(.+)$/.exec(word)?.[1] ?? []);
      const needed = new Set(record.sent.map(({ name }) => name));
      for (const name of [...TO_SENTINELS, ...WITHOUT_RIGHTS]) needed.delete(name);
      for (const name of WHEN_SILENT) needed.add(name);
      expect(allowed.sort()).toEqual([...needed].sort());
    });
  });
}
