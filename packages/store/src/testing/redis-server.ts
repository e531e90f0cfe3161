/** Starts the redis-server of the system for tests. Nothing that imitates Redis. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Its working folder: dump.rdb lies there. */
  readonly folder: string;
  /** Sends one command and returns its reply. */
  command(name: string, ...args: string[]): Promise<unknown>;
  /** Ends the server at once, without saving; `start` brings it back on the same port and folder. */
  kill(): Promise<void>;
  /** With more arguments than at first, and resolving at other words in its log, if given. */
  start(more?: readonly string[], until?: string): Promise<void>;
  /** Ends the server and removes its folder. */
  stop(): Promise<void>;
}

/** PEM texts; the server speaks TLS only and asks clients for a certificate. */
export interface ServerTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly clientCert: string;
  readonly clientKey: string;
}

const START_MS_MAX = 10_000;
const testClients = new WeakSet<Redis>();

/** Of a test itself, not of what it tests. */
export function isTestClient(client: Redis): boolean {
  return testClients.has(client);
}

/** `CANOPY_TEST_WITHOUT=redis` leaves tests on a real Redis out. */
export function redisIsLeftOut(): boolean {
  const without = (process.env.CANOPY_TEST_WITHOUT ?? '').split(/[\s,]+/);
  if (!without.includes('redis')) return false;
  console.log('left out: tests on a real Redis');
  return true;
}

export interface ServerOptions {
  readonly tls?: ServerTls | undefined;
  /** 0: any. */
  readonly port?: number;
  /** Of the default user. */
  readonly password?: string;
}

/** `args` go to redis-server as they are, e.g. `['--maxmemory', '20mb']`. */
export async function startRedis(
  args: readonly string[] = [],
  { tls, port = 0, password = '' }: ServerOptions = {},
): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'canopy-redis-'));
  const chosen = port === 0 ? await freePort() : port;
  const ports =
    tls === undefined ? ['--port', `${chosen}`] : await tlsArguments(tls, chosen, folder);
  const secret = password === '' ? [] : ['--requirepass', password, '--masterauth', password];
  const fixed = [...ports, '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...secret];
  const run = (more: readonly string[], until: string): Promise<ChildProcess> =>
    launch([...fixed, ...args, ...more], until);
  let child = await run([], READY);
  // A test that fails in between leaves no server behind.
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  const clientTls =
    tls === undefined ? {} : { tls: { ca: tls.ca, cert: tls.clientCert, key: tls.clientKey } };
  const makeClient = (): Redis => {
    const client = new Redis(chosen, '127.0.0.1', {
      ...{ lazyConnect: true, retryStrategy: () => null, enableReadyCheck: false },
      ...clientTls,
      ...(password === '' ? {} : { password }),
    });
    client.on('error', () => {});
    testClients.add(client);
    return client;
  };
  return {
    url: `${tls === undefined ? 'redis' : 'rediss'}://127.0.0.1:${chosen}`,
    port: chosen,
    get pid() {
      return child.pid!;
    },
    folder,
    async command(name, ...rest) {
      const client = makeClient();
      try {
        await client.connect();
        return await client.call(name, ...rest);
      } finally {
        client.disconnect();
      }
    },
    kill: () => end(child),
    async start(more = [], until = READY) {
      await end(child);
      child = await run(more, until);
    },
    async stop() {
      process.removeListener('exit', onExit);
      await end(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const READY = 'Ready to accept connections';

/** Writes the files into `folder`; the flags go for redis-server as a sentinel, too. */
export async function tlsArguments(
  tls: ServerTls,
  port: number,
  folder: string,
): Promise<string[]> {
  const paths = ['ca', 'cert', 'key'] as const;
  for (const name of paths) await writeFile(join(folder, `${name}.pem`), tls[name]);
  const [ca, cert, key] = paths.map((name) => join(folder, `${name}.pem`));
  const files = ['--tls-ca-cert-file', ca, '--tls-cert-file', cert, '--tls-key-file', key];
  return ['--port', '0', '--tls-port', `${port}`, ...files];
}

/** Runs redis-server; resolves when its log says `until`. The caller ends it. */
export async function launch(args: readonly string[], until: string): Promise<ChildProcess> {
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let failure: Error | undefined;
  child.on('error', (error) => {
    failure = error;
  });
  child.stdout.on('data', (text: Buffer) => {
    output = (output + text.toString()).slice(-4000);
  });
  child.stderr.resume();
  const last = Date.now() + START_MS_MAX;
  while (!output.includes(until)) {
    if (failure !== undefined || child.exitCode !== null || Date.now() > last) {
      child.kill('SIGKILL');
      const why = failure?.message ?? output;
      throw new Error(`redis-server did not start (is it installed?): ${why}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return child;
}

/** Ends a child at once and waits until it is gone. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** A port nobody listens at; with `max` at most that, and 10,000 above it is free, too (a cluster's bus). */
export async function freePort(max = 65_535): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = max === 65_535 ? 0 : 20_000 + Math.floor(Math.random() * (max - 20_000));
    const found = await tryPort(port);
    if (found === 0) continue;
    if (max === 65_535 || (await tryPort(found + 10_000)) !== 0) return found;
  }
  throw new Error('no free port was found');
}

/** 0 where the port is taken. */
function tryPort(wanted: number): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(0));
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
