/** What users and the world get wrong, against real processes: a clear sentence, nothing invented, nobody else delayed. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Site,
  eventually,
  freePort,
  get,
  isWithout,
  query,
  sleep,
  waitReady,
} from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

/** Exporters that misbehave: name → how, and what the targets page must say. */
const HOSTILE: Record<string, { listener: RequestListener | null; error: RegExp }> = {
  refused: { listener: null, error: /connection refused/i },
  slow: { listener: () => {}, error: /deadline exceeded|timed? ?out|time-out/i },
  failing: {
    listener: (_req, res) => void res.writeHead(500).end('no'),
    error: /server returned HTTP status 500/,
  },
  html: {
    listener: (_req, res) =>
      void res.setHeader('content-type', 'text/html').end('<html><body>hi</body></html>'),
    error: /./,
  },
  half: {
    listener: (_req, res) =>
      void res.setHeader('content-type', 'text/plain').end('good 1\nhalf{a="b'),
    error: /line 2/,
  },
  gzip: {
    listener: (_req, res) =>
      void res
        .writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' })
        .end(gzipSync('x 1\n').subarray(0, 12)),
    error: /gzip|unexpected end|decompress/i,
  },
  garbage: {
    listener: (_req, res) => {
      res.setHeader('content-type', 'text/plain');
      const chunk = Buffer.alloc(1024 * 1024, 'garbage');
      let left = 100;
      const write = (): void => {
        while (left-- > 0) if (!res.write(chunk)) return void res.once('drain', write);
        res.end();
      };
      write();
    },
    error: /./,
  },
};

describe('exporters', () => {
  let base = '';
  const portOf: Record<string, number> = {};

  beforeAll(async () => {
    for (const [name, { listener }] of Object.entries(HOSTILE)) {
      portOf[name] = listener === null ? await freePort() : await site.serve(listener);
    }
    let value = 0;
    portOf.good = await site.serve((_req, res) => {
      res.setHeader('content-type', 'text/plain; version=0.0.4').end(`good ${value++}\n`);
    });
    const jobs = Object.entries(portOf).map(
      ([name, port]) =>
        `  - job_name: ${name}\n    static_configs: [{ targets: ["127.0.0.1:${port}"] }]\n`,
    );
    const config = site.file(
      'hostile.yml',
      `global: { scrape_interval: 1s, body_size_limit: 50MB }\nscrape_configs:\n${jobs.join('')}`,
    );
    const port = await freePort();
    base = `http://127.0.0.1:${port}`;
    site.canopy(
      'leaf',
      ...['leaf', '--config.file', config, '--storage.path', site.path('hostile')],
      ...['--web.listen-address', `127.0.0.1:${port}`],
    );
    await waitReady(base);
    await sleep(6000);
  });

  it.each(Object.keys(HOSTILE))('%s: up 0, with the reason', async (name) => {
    const text = await get(`${base}/api/v1/targets?scrapePool=${name}`);
    const { data } = JSON.parse(text) as {
      data: { activeTargets: Array<{ health: string; lastError: string }> };
    };
    expect(data.activeTargets[0].health).toBe('down');
    expect(data.activeTargets[0].lastError).toMatch(HOSTILE[name].error);
    const up = await query(base, `up{job="${name}"}`);
    expect(up.map((series) => series.value![1])).toEqual(['0']);
    const invented = await query(base, `{job="${name}",__name__!~"up|scrape_.*"}`);
    expect(invented).toEqual([]);
  });

  it('leave the good one on time', async () => {
    const [series] = await query(base, 'good[5s]');
    const values = series.values!;
    expect(values.length).toBeGreaterThanOrEqual(4);
    for (let i = 1; i < values.length; i++) {
      expect(Math.abs(values[i][0] - values[i - 1][0] - 1)).toBeLessThan(0.25);
      expect(Number(values[i][1]) - Number(values[i - 1][1])).toBe(1);
    }
  });

  it('bad queries: 400 and the position', async () => {
    const response = await fetch(
      `${base}/api/v1/query?query=${encodeURIComponent('sum(rate(x[5m)')}`,
    );
    expect(response.status).toBe(400);
    const body = (await response.json()) as { errorType: string; error: string };
    expect(body.errorType).toBe('bad_data');
    expect(body.error).toMatch(/1:\d+: parse error/);
  });
});

describe('the command line', () => {
  const outcome = async (...args: string[]): Promise<[number | string, string]> => {
    const program = site.canopy('canopy', ...args);
    return [await program.ended(), program.output];
  };

  it('refuses a bad configuration with exit code 2 and the place', async () => {
    const config = site.file('bad.yml', 'scrape_configs:\n  - job_name: a\n    metric_path: /x\n');
    const [code, text] = await outcome(
      'leaf',
      '--config.file',
      config,
      '--storage.path',
      site.path('x'),
    );
    expect([code, text.trim().split('\n').length]).toEqual([2, 1]);
    expect(text).toMatch(
      /bad\.yml:3:5: scrape_configs\[0\]: unknown key "metric_path".*metrics_path/,
    );
    const checked = await outcome('check', 'config', config);
    expect(checked[0]).toBe(2);
    const good = site.file(
      'good.yml',
      'scrape_configs: [{job_name: a, static_configs: [{targets: ["h:1"]}]}]',
    );
    const [goodCode, goodText] = await outcome('check', 'config', good);
    expect(goodCode).toBe(0);
    expect(goodText).toMatch(/target h:1/);
  });

  it('suggests the nearest flag', async () => {
    const [code, text] = await outcome('leaf', '--web.listen-adress', 'x');
    expect(code).toBe(2);
    expect(text).toMatch(/--web\.listen-address/);
  });

  it('refuses a storage path in use', async () => {
    const port = await freePort();
    const config = site.file('empty.yml', '');
    const args = ['leaf', '--config.file', config, '--storage.path', site.path('locked')];
    site.canopy('holder', ...args, '--web.listen-address', `127.0.0.1:${port}`);
    await waitReady(`http://127.0.0.1:${port}`);
    const [code, text] = await outcome(
      ...args,
      '--web.listen-address',
      `127.0.0.1:${await freePort()}`,
    );
    expect(code).toBe(2);
    expect(text).toMatch(/locked/);
    const [portCode, portText] = await outcome(
      ...['leaf', '--config.file', config, '--storage.path', site.path('other')],
      ...['--web.listen-address', `127.0.0.1:${port}`],
    );
    expect(portCode).toBe(2);
    expect(portText).toMatch(/in use.*--web\.listen-address/);
  });
});

it('says that a store is damaged, and what to do', async () => {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const config = site.file(
    'damaged.yml',
    `global: { scrape_interval: 100ms }\nscrape_configs: [{ job_name: self, static_configs: [{ targets: ["127.0.0.1:${port}"] }] }]`,
  );
  const start = () =>
    site.canopy(
      'leaf',
      ...['leaf', '--config.file', config, '--storage.path', site.path('damaged')],
      ...['--web.listen-address', `127.0.0.1:${port}`],
    );
  const first = start();
  await waitReady(base);
  await sleep(2500);
  await first.kill('SIGKILL');
  const file = join(site.path('damaged'), 'store.mdb');
  const bytes = readFileSync(file);
  // All but the two pages by which LMDB finds the others.
  bytes.fill(0, 8192);
  writeFileSync(file, bytes);
  const second = start();
  expect(await second.ended()).toBe(1);
  expect(second.output).toMatch(/the store in .*damaged is damaged .*Move that folder away/);
});

describe.skipIf(isWithout('redis'))('a parent without its Redis', () => {
  it('says so, keeps trying, is not ready until then', async () => {
    const [port, redisPort] = [await freePort(), await freePort()];
    const base = `http://127.0.0.1:${port}`;
    const parent = site.canopy(
      'parent',
      ...[
        'parent',
        '--storage.path',
        site.path('waiting'),
        '--store',
        `redis://:s3cret@127.0.0.1:${redisPort}`,
      ],
      ...['--web.listen-address', `127.0.0.1:${port}`],
    );
    await eventually(10_000, 'health', () => get(`${base}/-/healthy`));
    expect((await fetch(`${base}/-/ready`)).status).toBe(503);
    expect((await fetch(`${base}/api/v1/query?query=up`)).status).toBe(503);
    site.program(
      'redis',
      'redis-server',
      ...['--bind', '127.0.0.1', '--port', String(redisPort), '--dir', site.folder],
      ...['--save', '', '--requirepass', 's3cret', '--maxmemory-policy', 'noeviction'],
    );
    await waitReady(base, 15_000);
    const flags = await get(`${base}/api/v1/status/flags`);
    expect(flags + parent.output + (await get(`${base}/metrics`))).not.toContain('s3cret');
    expect(parent.output).toMatch(/does not answer/);
  });
});
