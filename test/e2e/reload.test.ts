/** A leaf whose configuration changes under it: taken over whole or not at all, others undisturbed. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Site, eventually, freePort, get, waitReady } from '../processes.js';

const site = new Site();
/** Requests by path, with the connection each came over. */
const asked: Array<{ readonly path: string; readonly port: number | undefined }> = [];
let server: Server;
let exporter = '';

beforeAll(async () => {
  server = createServer((req, res) => {
    asked.push({ path: req.url ?? '', port: req.socket.remotePort });
    res.setHeader('content-type', 'text/plain').end('x 1\n');
  }).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  exporter = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await site[Symbol.asyncDispose]();
});

const configOf = (...jobs: string[]): string =>
  [
    'global: {scrape_interval: 500ms, scrape_timeout: 500ms}',
    'scrape_configs:',
    ...jobs.map(
      (job) =>
        `- {job_name: ${job}, metrics_path: /${job}, static_configs: [{targets: ["${exporter}"]}]}`,
    ),
  ].join('\n');

const count = (job: string): number => asked.filter(({ path }) => path === `/${job}`).length;

it('reloads by request and by signal, keeps the old one where the new one is bad, quits', async () => {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const file = site.file('reload.yml', configOf('kept', 'gone'));
  const leaf = site.canopy(
    ...['leaf', 'leaf', '--config.file', file, '--storage.path', site.path('reload-data')],
    ...['--web.listen-address', `127.0.0.1:${port}`, '--web.enable-lifecycle'],
  );
  await waitReady(base);
  await eventually(20_000, 'both jobs scraped', async () => {
    expect(Math.min(count('kept'), count('gone'))).toBeGreaterThan(1);
  });
  const metric = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name} (.*)$`, 'm').exec(await get(`${base}/metrics`))?.[1]);
  const firstReload = await metric('canopy_config_last_reload_success_timestamp_seconds');
  expect(await metric('canopy_config_last_reload_successful')).toBe(1);

  writeFileSync(file, 'scrape_configs: [{job_name: a, metric_path: /x}]');
  const refused = await fetch(`${base}/-/reload`, { method: 'POST' });
  expect([refused.status, await refused.text()]).toEqual([
    500,
    expect.stringMatching(/^failed to reload config: .*reload\.yml:1:\d+: .*"metric_path"/),
  ]);
  expect(await metric('canopy_config_last_reload_successful')).toBe(0);
  expect(await get(`${base}/api/v1/status/hierarchy`)).toMatch(/could not be reloaded/);
  expect(await get(`${base}/api/v1/status/config`)).toContain('gone');
  await eventually(10_000, 'it is in the log', async () => {
    expect(leaf.output).toMatch(/could not be reloaded; the old one runs on/);
  });
  const before = count('gone');
  await eventually(10_000, 'the old one runs on', async () => {
    expect(count('gone')).toBeGreaterThan(before + 1);
  });

  writeFileSync(file, configOf('kept', 'new'));
  expect((await fetch(`${base}/-/reload`, { method: 'POST' })).status).toBe(200);
  await eventually(10_000, 'the new job is scraped', async () => {
    expect(count('new')).toBeGreaterThan(1);
  });
  expect(await metric('canopy_config_last_reload_successful')).toBe(1);
  expect(await metric('canopy_config_last_reload_success_timestamp_seconds')).toBeGreaterThan(
    firstReload,
  );
  const config = await get(`${base}/api/v1/status/config`);
  expect([config.includes('gone'), config.includes('new')]).toEqual([false, true]);
  const ended = count('gone');

  writeFileSync(file, configOf('kept', 'new', 'third'));
  process.kill(leaf.pid, 'SIGHUP');
  await eventually(10_000, 'the signal was heard', async () => {
    expect(count('third')).toBeGreaterThan(1);
  });
  expect(count('gone')).toBe(ended);
  const answer = await fetch(`${base}/-/quit`, { method: 'POST' });
  expect(await answer.text()).toBe('Requesting termination... Goodbye!');
  expect(await leaf.ended()).toBe(0);
});
