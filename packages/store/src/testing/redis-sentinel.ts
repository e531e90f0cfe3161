/** A master, a replica and a Sentinel that watches them, for tests. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RedisServer, end, freePort, launch, startRedis } from './redis-server.js';

export interface RedisSentinelServers {
  /** `redis+sentinel://`, an address at which nobody listens first. */
  readonly url: string;
  readonly master: RedisServer;
  readonly replica: RedisServer;
  stop(): Promise<void>;
}

const JOIN_MS_MAX = 10_000;

/** `secrets`: the servers' and the Sentinel's own password. */
export async function startRedisSentinel(
  secrets: { readonly server: string; readonly sentinel: string } = { server: '', sentinel: '' },
): Promise<RedisSentinelServers> {
  const common = ['--repl-diskless-sync-delay', '0'];
  const password = secrets.server;
  const master = await startRedis(common, { password });
  const follow = ['--replicaof', `127.0.0.1 ${master.port}`];
  const replica = await startRedis([...common, ...follow], { password });
  await linked(master);
  const port = await freePort();
  const nobody = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'canopy-sentinel-'));
  const file = join(folder, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor mymaster 127.0.0.1 ${master.port} 1`,
    'sentinel down-after-milliseconds mymaster 500',
    'sentinel failover-timeout mymaster 3000',
    ...(secrets.server === '' ? [] : [`sentinel auth-pass mymaster ${secrets.server}`]),
    ...(secrets.sentinel === '' ? [] : [`requirepass ${secrets.sentinel}`]),
  ];
  await writeFile(file, lines.join('\n'));
  const sentinel = await launch([file, '--sentinel'], '+slave slave');
  const onExit = (): void => void sentinel.kill('SIGKILL');
  process.once('exit', onExit);
  const user = secrets.server === '' ? '' : `:${secrets.server}@`;
  const query = secrets.sentinel === '' ? '' : `?sentinel_password=${secrets.sentinel}`;
  return {
    url: `redis+sentinel://${user}127.0.0.1:${nobody},127.0.0.1:${port}/mymaster${query}`,
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
