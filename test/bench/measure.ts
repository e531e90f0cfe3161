/** What a process has used, as Linux counts it, and a proxy that counts bytes. */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK']).toString());

/** CPU seconds (user and system, all threads) a process has used so far. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** As `cpuSeconds`, of threads that are there, in ns: for those that use little. */
export function cpuNanoseconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const of = (thread: string): string =>
    readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8');
  return threads.reduce((sum, thread) => sum + Number(of(thread).split(' ')[0]), 0);
}

/** Anonymous resident memory: what the process itself holds, without mapped files. Bytes. */
export function anonymousBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

export interface CountingProxy {
  readonly port: number;
  /** Bytes that came from `target` since the last call. */
  takeBytes(): number;
  close(): void;
}

/** Forwards connections on a free loopback port to `targetPort`, and counts what comes back. */
export function countingProxy(targetPort: number): Promise<CountingProxy> {
  let bytes = 0;
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    upstream.on('data', (chunk) => (bytes += chunk.length));
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve({
        port: (server.address() as { port: number }).port,
        takeBytes: () => {
          const taken = bytes;
          bytes = 0;
          return taken;
        },
        close: () => server.close(),
      });
    });
  });
}
