/** A Redis Cluster for tests: real servers, put together by hand, small time-outs. */
import { Command } from 'ioredis';
import { type RedisServer, type ServerTls, freePort, startRedis } from './redis-server.js';

export interface RedisClusterServers {
  /** `redis+cluster://` or `rediss+cluster://` with all nodes. */
  readonly url: string;
  /** Masters first, then a replica of each in the same order. */
  readonly nodes: readonly RedisServer[];
  /** The node that serves the slot of `key`, as `asked` sees it. */
  masterOf(key: string, asked?: RedisServer): Promise<RedisServer>;
  /** Begins to move the slot of `key`: from now on ASK and TRYAGAIN. */
  beginMove(key: string, to: RedisServer): Promise<void>;
  /** Moves its keys (the first `count`) to where it is being moved. */
  moveKeys(key: string, to: RedisServer, count?: number): Promise<void>;
  /** Ends the move: from now on MOVED. */
  endMove(key: string, to: RedisServer): Promise<void>;
  stop(): Promise<void>;
}

const SLOTS = 16_384;
const ASSEMBLE_MS_MAX = 20_000;
const NODE_TIMEOUT_MS = 1000;
/** The bus listens 10,000 ports above. */
const PORT_MAX = 55_000;

/** `masters` masters with a replica each where `replicas` says so. */
export async function startRedisCluster(
  masters = 3,
  replicas = true,
  args: readonly string[] = [],
  tls?: ServerTls,
): Promise<RedisClusterServers> {
  const cluster = ['--cluster-enabled', 'yes', '--cluster-node-timeout', `${NODE_TIMEOUT_MS}`];
  // A replica may take over whatever its lag is: the tests are about what happens then.
  const failover = ['--cluster-replica-validity-factor', '0', '--repl-diskless-sync-delay', '0'];
  const start = async (): Promise<RedisServer> => {
    const secure = tls === undefined ? [] : ['--tls-cluster', 'yes', '--tls-replication', 'yes'];
    const all = [...cluster, ...failover, ...secure, ...args];
    return startRedis(all, { tls, port: await freePort(PORT_MAX) });
  };
  const count = replicas ? 2 * masters : masters;
  const nodes: RedisServer[] = [];
  for (let i = 0; i < count; i++) nodes.push(await start());
  try {
    await assemble(nodes, masters);
  } catch (error) {
    for (const node of nodes) await node.stop();
    throw error;
  }
  return clusterOf(nodes);
}

async function assemble(nodes: readonly RedisServer[], masters: number): Promise<void> {
  for (let i = 0; i < masters; i++) {
    const [from, to] = [i, i + 1].map((part) => Math.floor((SLOTS * part) / masters));
    const slots = Array.from({ length: to - from }, (_, k) => `${from + k}`);
    await nodes[i].command('cluster', 'addslots', ...slots);
    await nodes[i].command('cluster', 'set-config-epoch', `${i + 1}`);
  }
  for (const node of nodes.slice(1)) {
    await node.command('cluster', 'meet', '127.0.0.1', `${nodes[0].port}`);
  }
  await until(async () => {
    for (const node of nodes) {
      const lines = String(await node.command('cluster', 'nodes'))
        .trim()
        .split('\n');
      if (lines.length < nodes.length || lines.some((line) => line.includes('handshake')))
        return false;
    }
    return true;
  });
  for (let i = masters; i < nodes.length; i++) {
    const id = String(await nodes[i - masters].command('cluster', 'myid'));
    await nodes[i].command('cluster', 'replicate', id);
  }
  await until(async () => {
    for (const [i, node] of nodes.entries()) {
      const info = String(await node.command('cluster', 'info'));
      if (!info.includes('cluster_state:ok')) return false;
      const link = String(await node.command('info', 'replication'));
      if (i >= masters && !link.includes('master_link_status:up')) return false;
    }
    return true;
  });
}

function clusterOf(nodes: readonly RedisServer[]): RedisClusterServers {
  const slotOf = (key: string): string => `${new Command('get', [key]).getSlot()}`;
  const idOf = async (node: RedisServer): Promise<string> =>
    String(await node.command('cluster', 'myid'));
  const masterOf = async (key: string, asked = nodes[0]): Promise<RedisServer> => {
    const slot = Number(slotOf(key));
    const ranges = (await asked.command('cluster', 'slots')) as Array<
      [from: number, to: number, master: [host: string, port: number]]
    >;
    const range = ranges.find(([from, to]) => from <= slot && slot <= to);
    const found = nodes.find(({ port }) => port === range?.[2][1]);
    if (found === undefined) throw new Error(`nobody serves slot ${slot}`);
    return found;
  };
  return {
    url: `${nodes[0].url.split(':')[0]}+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    masterOf,
    async beginMove(key, to) {
      const from = await masterOf(key);
      await to.command('cluster', 'setslot', slotOf(key), 'importing', await idOf(from));
      await from.command('cluster', 'setslot', slotOf(key), 'migrating', await idOf(to));
    },
    async moveKeys(key, to, count = 1000) {
      const from = await masterOf(key);
      const keys = (await from.command(
        ...(['cluster', 'getkeysinslot', slotOf(key), `${count}`] as const),
      )) as string[];
      const there = ['127.0.0.1', `${to.port}`, '', '0', '5000', 'KEYS'];
      if (keys.length > 0) await from.command('migrate', ...there, ...keys);
    },
    async endMove(key, to) {
      const from = await masterOf(key);
      const id = await idOf(to);
      for (const node of [to, from])
        await node.command('cluster', 'setslot', slotOf(key), 'node', id);
    },
    async stop() {
      for (const node of nodes) await node.stop();
    },
  };
}

async function until(done: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + ASSEMBLE_MS_MAX;
  while (!(await done())) {
    if (Date.now() > end) throw new Error('the cluster did not come together');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
