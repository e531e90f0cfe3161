/** Starts the redis-server of the system for tests. Nothing that imitates Redis. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Sends one command and returns its reply. */
  command(name: string, ...args: string[]): Promise<unknown>;
  /** Ends the server at once, without saving; `start` brings it back on the same port and folder. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends the server and removes its folder. */
  stop(): Promise<void>;
}

const START_MS_MAX = 10_000;

/** `CANOPY_TEST_WITHOUT=redis` leaves tests on a real Redis out. */
export function redisIsLeftOut(): boolean {
  const without = (process.env.CANOPY_TEST_WITHOUT ?? '').split(/[\s,]+/);
  if (!without.includes('redis')) return false;
  console.log('left out: tests on a real Redis');
  return true;
}

/** `args` go to redis-server as they are, e.g. `['--maxmemory', '20mb']`. */
export async function startRedis(args: readonly string[] = []): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'canopy-redis-'));
  const port = await freePort();
  let child = await launch(port, folder, args);
  // A test that fails in between leaves no server behind.
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  const stopChild = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return child.pid!;
    },
    async command(name, ...rest) {
      const client = new Redis(port, '127.0.0.1', { lazyConnect: true });
      try {
        await client.connect();
        return await client.call(name, ...rest);
      } finally {
        client.disconnect();
      }
    },
    kill: stopChild,
    async start() {
      await stopChild();
      child = await launch(port, folder, args);
    },
    async stop() {
      process.removeListener('exit', onExit);
      await stopChild();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function launch(
  port: number,
  folder: string,
  args: readonly string[],
): Promise<ChildProcess> {
  const fixed = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
  const child = spawn('redis-server', [...fixed, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let failure: Error | undefined;
  child.on('error', (error) => {
    failure = error;
  });
  child.stdout.on('data', (text: Buffer) => {
    output = (output + text.toString()).slice(-4000);
  });
  child.stderr.resume();
  const end = Date.now() + START_MS_MAX;
  while (!output.includes('Ready to accept connections')) {
    if (failure !== undefined || child.exitCode !== null || Date.now() > end) {
      child.kill('SIGKILL');
      const why = failure?.message ?? output;
      throw new Error(`redis-server did not start (is it installed?): ${why}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return child;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
