/**
 * Records scrapes of real exporters for `tile.bench.ts`: prometheus-node-exporter, prometheus-redis-exporter
 * (with a redis-server) and prometheus, each started here on free ports and ended here.
 *   npx tsx --conditions canopy-source bench/record.ts FOLDER [scrapes] [milliseconds between]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [folder, scrapes = '120', interval = '1000'] = process.argv.slice(2);
if (folder === undefined) throw new Error('which folder?');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

const children: ChildProcess[] = [];
const scratch = mkdtempSync(join(tmpdir(), 'canopy-record-'));
const start = (program: string, ...args: string[]): void => {
  children.push(spawn(program, args, { stdio: 'ignore', cwd: scratch }));
};

/** Values of each series text by scrape; NaN where it has none. */
class Recording {
  readonly times: number[] = [];
  readonly #series = new Map<string, Array<number | null>>();
  readonly name: string;
  readonly #url: string;

  constructor(name: string, port: number) {
    this.name = name;
    this.#url = `http://127.0.0.1:${port}/metrics`;
  }

  async scrape(): Promise<void> {
    const body = await (await fetch(this.#url)).text();
    const row = this.times.push(Date.now()) - 1;
    for (const line of body.split('\n')) {
      const match = /^([^#{ ][^{ ]*(?:\{.*\})?) (\S+)/.exec(line);
      if (match === null) continue;
      const values = this.#series.get(match[1]) ?? [];
      while (values.length < row) values.push(null);
      const value = Number(match[2].replace('Inf', 'Infinity'));
      // JSON has no NaN and no infinities; they are rare enough to leave out.
      values[row] = Number.isFinite(value) ? value : null;
      this.#series.set(match[1], values);
    }
  }

  write(): void {
    const lines = [this.times, ...this.#series.values()].map((row) => JSON.stringify(row));
    writeFileSync(join(folder, `${this.name}.jsonl`), lines.join('\n'));
  }
}

try {
  mkdirSync(folder, { recursive: true });
  const [node, redis, redisExporter, prometheus] = await Promise.all(
    Array.from({ length: 4 }, freePort),
  );
  const at = (port: number): string => `127.0.0.1:${port}`;
  start('prometheus-node-exporter', `--web.listen-address=${at(node)}`);
  start('redis-server', '--port', String(redis), '--bind', '127.0.0.1', '--save', '');
  start(
    'prometheus-redis-exporter',
    `-web.listen-address=${at(redisExporter)}`,
    `-redis.addr=redis://${at(redis)}`,
  );
  const targets = [node, redisExporter, prometheus].map(at);
  writeFileSync(
    join(scratch, 'prometheus.yml'),
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [{ job_name: 'real', static_configs: [{ targets }] }],
    }),
  );
  start('prometheus', `--web.listen-address=${at(prometheus)}`, '--config.file=prometheus.yml');
  await sleep(5000);
  const recordings = [
    new Recording('node exporter', node),
    new Recording('redis exporter', redisExporter),
    new Recording('prometheus', prometheus),
  ];
  for (let i = 0; i < Number(scrapes); i++) {
    const next = sleep(Number(interval));
    for (const recording of recordings) await recording.scrape();
    await next;
  }
  for (const recording of recordings) recording.write();
} finally {
  for (const child of children) child.kill();
  await sleep(500);
  rmSync(scratch, { recursive: true, force: true });
}
