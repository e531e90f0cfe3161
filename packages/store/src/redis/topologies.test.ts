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
import { redisOptions } from '../testing/redis-options.js';
import { openRedisStore } from './redis-store.js';

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

async function startWithUser(): Promise<{ server: RedisServer; url: string }> {
  const server = await startRedis([], { tls: SERVER_TLS });
  await server.command('acl', 'setuser', ...(await aclRule()));
  return { server, url: server.url.replace('//', '//canopy:SECRET@') };
}

if (!redisIsLeftOut()) {
  storeConformance(
    'redis by TLS, with the ACL rule of README.md',
    async () => {
      const { server, url } = await startWithUser();
      return {
        open: (onCorrupt) => openRedisStore({ ...redisOptions(url), tls: CLIENT_TLS, onCorrupt }),
        remove: () => server.stop(),
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
}
