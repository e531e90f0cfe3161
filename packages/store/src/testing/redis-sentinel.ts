/** A master, a replica and a Sentinel that watches them, for tests. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type RedisServer,
  type ServerTls,
  end,
  freePort,
  launch,
  startRedis,
  tlsArguments,
} from './redis-server.js';

export interface RedisSentinelServers {
  /** `redis+sentinel://` or `rediss+sentinel://`, an address at which nobody listens first. */
  readonly url: string;
  readonly master: RedisServer;
  readonly replica: RedisServer;
  stop(): Promise<void>;
}

const JOIN_MS_MAX = 10_000;

/** `secrets`: the servers' and the Sentinel's own password. With `tls` all of them speak nothing else. */
export async function startRedisSentinel(
  secrets: { readonly server: string; readonly sentinel: string } = { server: '', sentinel: '' },
  tls?: ServerTls,
): Promise<RedisSentinelServers> {
  const secure = tls === undefined ? [] : ['--tls-replication', 'yes'];
  const common = ['--repl-diskless-sync-delay', '0', ...secure];
  const password = secrets.server;
  const master = await startRedis(common, { password, tls });
  const follow = ['--replicaof', `127.0.0.1 ${master.port}`];
  const replica = await startRedis([...common, ...follow], { password, tls });
  await linked(master);
  const port = await freePort();
  const nobody = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'canopy-sentinel-'));
  const file = join(folder, 'sentinel.conf');
  const ports = tls === undefined ? ['--port', `${port}`] : await tlsArguments(tls, port, folder);
  const lines = [
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor mymaster 127.0.0.1 ${master.port} 1`,
    'sentinel down-after-milliseconds mymaster 500',
    'sentinel failover-timeout mymaster 3000',
    ...(secrets.server === '' ? [] : [`sentinel auth-pass mymaster ${secrets.server}`]),
    ...(secrets.sentinel === '' ? [] : [`requirepass ${secrets.sentinel}`]),
  ];
  await writeFile(file, lines.join('\n'));
  const sentinel = await launch([file, '--sentinel', ...ports, ...secure], '+slave slave');
  const onExit = (): void => void sentinel.kill('SIGKILL');
  process.once('exit', onExit);
  const user = secrets.server === '' ? '' : `:${secrets.server}@`;
  const query = secrets.sentinel === '' ? '' : `?sentinel_password=${secrets.sentinel}`;
  return {
    url: `${master.url.split(':')[0]}+sentinel://${user}127.0.0.1:${nobody},127.0.0.1:${port}/mymaster${query}`,
    master,
    replica,
    async stop() {
      process.removeListener('exit', onExit);
      await end(sentinel);
      await rm(folder, { recursive: true, force: true });
      await master.stop();
      await replica.stop();
    },
  };
}

/** The master counts a replica after its first word to it. */
async function linked(master: RedisServer): Promise<void> {
  const last = Date.now() + JOIN_MS_MAX;
  for (;;) {
    const info = String(await master.command('info', 'replication'));
    if (info.includes('state=online')) return;
    if (Date.now() > last) throw new Error('the replica did not join its master');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
