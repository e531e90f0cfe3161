/**
 * Bodies of real exporters (node, Redis, a Prometheus that scrapes them), recorded with some load on the Redis, and
 * kept: a file an exporter, brotli of each body's length (u32, little-endian) and bytes.
 */
import { once } from 'node:events';
import { createReadStream, createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { join } from 'node:path';
import {
  type BrotliCompress,
  constants,
  createBrotliCompress,
  createBrotliDecompress,
} from 'node:zlib';
import { Site, eventually, freePort, get, sleep } from '../processes.js';

export const EXPORTERS = ['node', 'redis', 'prometheus'] as const;
const BROTLI = {
  params: { [constants.BROTLI_PARAM_QUALITY]: 3, [constants.BROTLI_PARAM_LGWIN]: 22 },
};
const LOAD_EVERY_MS = 200;

const fileOf = (folder: string, name: string): string => join(folder, `${name}.br`);

export const isRecorded = (folder: string): boolean =>
  EXPORTERS.every((name) => existsSync(fileOf(folder, name)));

/** The bodies of one exporter, in order. */
export async function* readRecording(folder: string, name: string): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  const bytes = createReadStream(fileOf(folder, name)).pipe(createBrotliDecompress());
  for await (const chunk of bytes as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32LE()) {
      const end = 4 + rest.readUInt32LE();
      yield rest.subarray(4, end);
      rest = rest.subarray(end);
    }
  }
}

/** Real exporters on loopback that `site` ends, with commands for the Redis behind one of them until `stopLoad`. */
export interface Exporters {
  /** In the order of EXPORTERS. */
  readonly ports: readonly number[];
  stopLoad(): void;
}

/** Starts them; the Prometheus scrapes all three each `everyMs`. */
export async function startExporters(site: Site, everyMs: number): Promise<Exporters> {
  const [node, redis, exporter, prometheus] = await Promise.all([0, 0, 0, 0].map(freePort));
  const jobs = Object.entries({ node, redis: exporter, prometheus }).map(
    ([name, port]) =>
      `  - { job_name: ${name}, static_configs: [{ targets: ["127.0.0.1:${port}"] }] }\n`,
  );
  const scrape = `global: { scrape_interval: ${everyMs}ms, scrape_timeout: ${everyMs}ms }\n`;
  const config = site.file('exporters.yml', `${scrape}scrape_configs:\n${jobs.join('')}`);
  const limit = ['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru'];
  site.program(
    ...(['exported-redis', 'redis-server', '--port', `${redis}`, '--save', '', ...limit] as const),
    ...['--dir', site.folder],
  );
  site.program('node', 'prometheus-node-exporter', `--web.listen-address=127.0.0.1:${node}`);
  site.program(
    ...(['exporter', 'prometheus-redis-exporter'] as const),
    ...[`-redis.addr=redis://127.0.0.1:${redis}`, `-web.listen-address=127.0.0.1:${exporter}`],
  );
  site.program(
    ...(['prometheus', 'prometheus', `--config.file=${config}`] as const),
    ...[`--web.listen-address=127.0.0.1:${prometheus}`, `--storage.tsdb.path=${site.path('tsdb')}`],
  );
  const ports = [node, exporter, prometheus];
  for (const port of ports) {
    await eventually(20_000, `${port}`, () => get(`http://127.0.0.1:${port}/metrics`));
  }
  const client = connect(redis, '127.0.0.1').resume();
  const load = setInterval(() => someLoad(client), LOAD_EVERY_MS);
  const stopLoad = (): void => {
    clearInterval(load);
    client.destroy();
  };
  return { ports, stopLoad };
}

/** Starts the exporters, asks each `count` times, and ends them. */
export async function record(folder: string, count: number, everyMs: number): Promise<void> {
  await using site = new Site();
  mkdirSync(folder, { recursive: true });
  const { ports, stopLoad } = await startExporters(site, everyMs);
  const files = EXPORTERS.map((name) => {
    const compress = createBrotliCompress(BROTLI);
    return {
      compress,
      done: once(compress.pipe(createWriteStream(fileOf(folder, name))), 'close'),
    };
  });
  const begin = performance.now();
  for (let i = 0; i < count; i++) {
    await sleep(Math.max(0, begin + i * everyMs - performance.now()));
    const bodies = await Promise.all(ports.map((port) => get(`http://127.0.0.1:${port}/metrics`)));
    for (const [k, body] of bodies.entries()) await append(files[k].compress, Buffer.from(body));
  }
  stopLoad();
  for (const { compress, done } of files) {
    compress.end();
    await done;
  }
}

async function append(compress: BrotliCompress, body: Buffer): Promise<void> {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(body.length);
  compress.write(size);
  if (!compress.write(body)) await once(compress, 'drain');
}

/** Commands of several kinds, more and fewer of them by and by. */
function someLoad(client: Socket): void {
  const wave = 1 + Math.sin(performance.now() / 10_000);
  const rounds = Math.floor(wave * 20 * Math.random()) + 5;
  const lines: string[] = [];
  for (let i = 0; i < rounds; i++) {
    const key = Math.floor(Math.random() * 5000);
    lines.push(`SET k:${key} ${'x'.repeat(50 + Math.floor(Math.random() * 400))}`);
    lines.push(`GET k:${Math.floor(Math.random() * 8000)}`, `INCR c:${key % 50}`);
    if (i % 3 === 0)
      lines.push(`SETEX e:${key} ${5 + (key % 60)} 1`, `HSET h:${key % 30} f${key} ${key}`);
    if (i % 7 === 0) lines.push(`LPUSH l:${key % 9} ${key}`, `LTRIM l:${key % 9} 0 500`);
  }
  client.write(`${lines.join('\r\n')}\r\n`);
}
