/**
 * A network that swallows everything, and one that swallows each answer once it has begun: pulls fail while it does, and go on
 * within one pull interval and one time-out after it is back. What is looked at is which tick each pull belongs to,
 * not how long anything took.
 */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Proxy } from '../chaos/proxy.js';
import { completeUpTo } from '../hierarchy.js';
import { Site, eventually, freePort, query, waitReady } from '../processes.js';

/** Also a pull's time-out: much more than a busy machine takes for one. */
const PULL_MS = 2000;
/** Of a pull: until it comes and until it is given up; one more for a machine that lets it be late. */
const INTERVALS_MAX = 3;
/** So much that no page is there with its first packets. */
const SERIES = 3000;
/** Pulls that fail while the network is away. */
const FAILED_MIN = 2;
const PATIENCE_MS = 60_000;

const site = new Site();
const proxies = new Map<string, Proxy>();
let exporter: Server;
let parent = '';

beforeAll(async () => {
  exporter = createServer((_req, res) => {
    const lines = Array.from({ length: SERIES }, (_, i) => `x{i="${i}"} ${Math.random()}\n`);
    res.setHeader('content-type', 'text/plain').end(lines.join(''));
  }).listen(0, '127.0.0.1');
  await new Promise((done) => exporter.once('listening', done));
  const names = ['swallow', 'half'];
  const started = await Promise.all(names.map(startLeaf));
  for (const [i, name] of names.entries()) proxies.set(name, started[i]);
  const jobs = [...proxies].map(
    ([name, { port }]) =>
      `- {job_name: ${name}, metrics_path: /federate, static_configs: [{targets: ["127.0.0.1:${port}"]}]}`,
  );
  const config = [`global: {scrape_interval: ${PULL_MS}ms}`, 'scrape_configs:', ...jobs];
  const port = await freePort();
  parent = `http://127.0.0.1:${port}`;
  site.canopy(
    ...['parent', 'parent', '--config.file', site.file('parent.yml', config.join('\n'))],
    ...['--storage.path', site.path('parent'), '--web.listen-address', `127.0.0.1:${port}`],
  );
  await waitReady(parent);
});
afterAll(async () => {
  exporter.closeAllConnections();
  exporter.close();
  for (const proxy of proxies.values()) await proxy.close();
  await site[Symbol.asyncDispose]();
});

async function startLeaf(name: string): Promise<Proxy> {
  const port = await freePort();
  const target = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
  const config = `global: {scrape_interval: 500ms}\nscrape_configs: [{job_name: farm, static_configs: [{targets: ["${target}"], labels: {of: ${name}}}]}]`;
  site.canopy(
    ...[name, 'leaf', '--config.file', site.file(`${name}.yml`, config), '--leaf.name', name],
    ...['--storage.path', site.path(name), '--web.listen-address', `127.0.0.1:${port}`],
  );
  await waitReady(`http://127.0.0.1:${port}`);
  const proxy = new Proxy(port, Math.random);
  await proxy.open();
  return proxy;
}

/** Of each pull after `since` (ms since epoch): its tick, and whether a page came. */
async function pulls(job: string, since: number): Promise<Array<readonly [number, boolean]>> {
  const seconds = Math.ceil((Date.now() - since) / 1000) + 1;
  const [series] = await query(parent, `up{job="${job}"}[${seconds}s]`);
  const all = (series?.values ?? []).map(
    ([time, text]) => [Math.round(time * 1000), text === '1'] as const,
  );
  return all.filter(([time]) => time > since);
}

it.concurrent.each(['swallow', 'half'] as const)(
  '%s: pulls go on when the network is back',
  async (name) => {
    const proxy = proxies.get(name)!;
    await completeUpTo(parent, Date.now() / 1000, [name]);
    const cut = Date.now();
    proxy.network = name;
    await eventually(PATIENCE_MS, 'pulls fail', async () => {
      const failed = (await pulls(name, cut)).filter(([, isUp]) => !isUp);
      expect(failed.length).toBeGreaterThanOrEqual(FAILED_MIN);
    });
    expect((await pulls(name, cut)).filter(([, isUp]) => isUp)).toEqual([]);
    expect(proxy.harmed).toBeGreaterThanOrEqual(FAILED_MIN);
    proxy.network = 'sound';
    const back = Date.now();
    const [first] = await eventually(PATIENCE_MS, 'a pull goes well', async () => {
      const well = (await pulls(name, back)).filter(([, isUp]) => isUp);
      expect(well.length).toBeGreaterThan(0);
      return well;
    });
    expect(first[0] - back).toBeLessThanOrEqual(INTERVALS_MAX * PULL_MS);
    await completeUpTo(parent, back / 1000, [name]);
  },
);
