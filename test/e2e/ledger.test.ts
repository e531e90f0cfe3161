/** What became of every scrape, at a leaf and at its parent, and what queries may hold to. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { completeUpTo } from '../hierarchy.js';
import { MAIN, type Program, Site, eventually, freePort, get, waitReady } from '../processes.js';

interface Job {
  readonly job: string;
  readonly scraped: number;
  readonly journalled: number;
  readonly refused: Record<string, number>;
  readonly pulled: number;
  readonly before: number;
  readonly stored: number;
  readonly missing: number;
  readonly verdict: string;
}

interface Journal {
  readonly source: string;
  readonly path: readonly string[];
  readonly jobs: readonly Job[];
  readonly collisions: ReadonlyArray<{ readonly series: string; readonly scrapeUrls: string[] }>;
}

const site = new Site();
const servers: Server[] = [];
/** Answered requests by path. */
const answered = new Map<string, number>();
const leaves: Program[] = [];
let top: Program;
let parent = '';
const urls: Record<string, string> = {};

async function exporter(): Promise<string> {
  const server = createServer((req, res) => {
    const path = req.url ?? '';
    const count = (answered.get(path) ?? 0) + 1;
    answered.set(path, count);
    res.setHeader('content-type', 'text/plain').end(`scrape_number ${count}\nother 1\n`);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await new Promise((done) => server.once('listening', done));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A leaf with a job of its own, one over its limit, and one whose series another leaf has, too. */
async function startLeaf(name: string): Promise<void> {
  const target = await exporter();
  const port = await freePort();
  urls[name] = `http://127.0.0.1:${port}`;
  const job = (of: string, more: string): string =>
    `- {job_name: ${of}, metrics_path: /${name}-${of}, ${more}static_configs: [{targets: ["${target}"], labels: {instance: ${of}}}]}`;
  const config = [
    'global: {scrape_interval: 500ms, scrape_timeout: 500ms}',
    'scrape_configs:',
    job(`own-${name}`, ''),
    job(`big-${name}`, 'sample_limit: 1, '),
    job('shared', ''),
  ];
  leaves.push(
    site.canopy(
      ...[name, 'leaf', '--config.file', site.file(`${name}.yml`, config.join('\n'))],
      ...['--storage.path', site.path(name), '--web.listen-address', `127.0.0.1:${port}`],
      ...['--leaf.name', name, '--parent', parent],
    ),
  );
}

beforeAll(async () => {
  const port = await freePort();
  parent = `http://127.0.0.1:${port}`;
  const file = site.file('parent.yml', 'global: {scrape_interval: 500ms}');
  top = site.canopy(
    ...['parent', 'parent', '--config.file', file, '--storage.path', site.path('parent')],
    ...['--web.listen-address', `127.0.0.1:${port}`, '--leaf.name', 'top'],
  );
  await Promise.all(['east', 'west'].map(startLeaf));
  await Promise.all([parent, ...Object.values(urls)].map((url) => waitReady(url)));
});
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await site[Symbol.asyncDispose]();
});

/** What `canopy ledger` prints; rejects where its exit code is not 0 or it complains. */
async function canopyLedger(...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN, 'ledger', ...args]);
  expect(stderr).toBe('');
  return stdout;
}

/** Beside the processes that use the stores. */
async function verify(...names: string[]): Promise<void> {
  const verified = names.map((name) => canopyLedger('--verify', '--storage.path', site.path(name)));
  for (const stdout of await Promise.all(verified)) expect(stdout).toMatch(/ agrees$/m);
}

async function journals(base: string): Promise<Journal[]> {
  const body = JSON.parse(await get(`${base}/api/v1/status/ledger`)) as {
    data: { journals: Journal[] };
  };
  return body.data.journals;
}

async function jobOf(base: string, writer: string, name: string): Promise<Job> {
  const journal = (await journals(base)).find(({ path }) => path[0] === writer);
  const job = journal?.jobs.find((one) => one.job === name);
  if (job === undefined) throw new Error(`${base} knows no ${name} of ${writer}`);
  return job;
}

it('accounts for every scrape, level by level', async () => {
  await eventually(30_000, 'the parent has heard of some scrapes', async () => {
    for (const leaf of ['east', 'west']) {
      expect((await jobOf(parent, leaf, `own-${leaf}`)).scraped).toBeGreaterThan(0);
    }
  });
  const asked = answered.get('/east-own-east')!;
  const own = await eventually(10_000, 'the leaf has journalled them', async () => {
    const job = await jobOf(urls.east, 'east', 'own-east');
    expect(job.journalled).toBeGreaterThanOrEqual(asked);
    return job;
  });
  expect(own).toMatchObject({ scraped: own.journalled, refused: {}, verdict: 'balanced' });
  expect(own.journalled).toBeLessThanOrEqual(answered.get('/east-own-east')!);
  const big = await jobOf(urls.east, 'east', 'big-east');
  expect(big).toMatchObject({ journalled: 0, refused: { sample_limit: big.scraped } });
  const there = await jobOf(parent, 'east', 'big-east');
  expect(there).toMatchObject({ refused: { sample_limit: there.scraped }, verdict: 'balanced' });
  expect(there).toMatchObject({ stored: there.pulled - there.before, missing: 0 });
  const [journal] = (await journals(parent)).filter(({ source }) => source === 'east');
  expect(journal.path).toEqual(['east', 'top']);
  const [stdout] = await Promise.all([canopyLedger('--url', parent), verify('parent', 'east')]);
  expect(stdout).toMatch(/^east → top +big-east +\d+ +0 +\d+ .* balanced$/m);
});

it('says where series come from, and that two targets give the same', async () => {
  const url = `${parent}/api/v1/provenance?match[]=${encodeURIComponent('up{job="shared"}')}`;
  const { data } = JSON.parse(await get(url)) as {
    data: Array<{ metric: object; origins: Array<{ path: string[]; scrapeUrl: string }> }>;
  };
  expect(data.map(({ metric }) => metric)).toEqual([
    { __name__: 'up', instance: 'shared', job: 'shared' },
  ]);
  expect(data[0].origins.map(({ path }) => path.join()).sort()).toEqual(['east,top', 'west,top']);
  const collision = await eventually(60_000, 'the collision is told', async () => {
    const [found] = (await journals(parent)).flatMap(({ collisions }) => collisions);
    expect(found).toBeDefined();
    return found;
  });
  expect(collision.series).toContain('job="shared"');
  const told = data[0].origins.map(({ scrapeUrl }) => scrapeUrl);
  expect([...collision.scrapeUrls].sort()).toEqual(told.sort());
  expect(await get(`${parent}/metrics`)).toMatch(/^canopy_collisions_total\{source="\w+"\} 1$/m);
});

it('tells of one leaf that is pulled for two things as of two sources', async () => {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const { host } = new URL(urls.east);
  const entry = (name: string, target: string): string =>
    `- {job_name: ${name}, metrics_path: /federate, params: {"match[]": ['{job="${name}"}']}, static_configs: [{targets: ["${target}"]}]}`;
  const config = ['global: {scrape_interval: 500ms}', 'scrape_configs:'];
  config.push(entry('own-east', host), entry('shared', host));
  site.canopy(
    ...['views', 'parent', '--config.file', site.file('views.yml', config.join('\n'))],
    ...['--storage.path', site.path('views'), '--web.listen-address', `127.0.0.1:${port}`],
  );
  await waitReady(base);
  await eventually(30_000, 'both are there', async () => {
    const told = (await journals(base)).filter(({ path }) => path[0] === 'east');
    const names = told.flatMap(({ jobs }) => jobs.filter(({ stored }) => stored > 0));
    expect(names.map(({ job }) => job).sort()).toEqual(['own-east', 'shared']);
    const metrics = await get(`${base}/metrics`);
    for (const path of ['own-east', 'shared']) {
      const source = `east \\(${host}/federate\\?match%5B%5D=%7Bjob%3D%22${path}%22%7D\\)`;
      for (const metric of ['up', 'lag_seconds', 'may_be_away_seconds']) {
        expect(metrics).toMatch(
          new RegExp(`^canopy_source_${metric}\\{source="${source}"\\} `, 'm'),
        );
      }
    }
  });
});

it('holds a query to the leaf that is behind, where it selects it and is asked to', async () => {
  const [, west] = leaves;
  await completeUpTo(parent, Date.now() / 1000, ['east', 'west']);
  process.kill(west.pid, 'SIGSTOP');
  try {
    const frozen = Date.now() / 1000;
    const timeOf = async (selector: string, more: string): Promise<number> => {
      const url = `${parent}/api/v1/query?query=${encodeURIComponent(selector)}${more}`;
      const body = JSON.parse(await get(url)) as { data: { result: Array<{ value: [number] }> } };
      return body.data.result[0].value[0];
    };
    await completeUpTo(parent, frozen + 2, ['east']);
    expect(await timeOf('up{job="own-west"}', '&complete=true')).toBeLessThan(frozen + 1);
    expect(await timeOf('up{job="shared"}', '&complete=true')).toBeLessThan(frozen + 1);
    expect(await timeOf('up{job="own-west"}', '')).toBeGreaterThan(frozen + 1.9);
    expect(await timeOf('up{job="own-east"}', '&complete=true')).toBeGreaterThan(frozen + 1.9);
  } finally {
    process.kill(west.pid, 'SIGCONT');
  }
});

it('accounts for every scrape that it counted, whoever is killed', async () => {
  const [, west] = leaves;
  const before = await jobOf(urls.west, 'west', 'own-west');
  await Promise.all([west.kill('SIGKILL'), top.kill('SIGKILL')]);
  west.start();
  top.start();
  await Promise.all([waitReady(urls.west), waitReady(parent)]);
  await eventually(30_000, 'the parent has heard of all those scrapes', async () => {
    const job = await jobOf(parent, 'west', 'own-west');
    expect(job.scraped).toBeGreaterThanOrEqual(before.scraped);
    expect(job).toMatchObject({ missing: 0, scraped: job.journalled, verdict: 'balanced' });
  });
  expect(await jobOf(urls.west, 'west', 'own-west')).toMatchObject({ verdict: 'balanced' });
  await verify('parent', 'west');
});
