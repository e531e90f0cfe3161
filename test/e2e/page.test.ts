/** The page in a real browser, over real processes. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { Site, eventually, freePort, isWithout, query, waitReady } from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

const CHROMIUM = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--virtual-time-budget=4000',
];

it.skipIf(isWithout('chromium'))('shows the hierarchy', async () => {
  const [parentPort, leafPort] = [await freePort(), await freePort()];
  const parent = `http://127.0.0.1:${parentPort}`;
  const config = site.file(
    'leaf.yml',
    `global: { scrape_interval: 1s }\nscrape_configs: [{ job_name: self, static_configs: [{ targets: ["127.0.0.1:${leafPort}"] }] }]`,
  );
  const parentConfig = site.file('parent.yml', 'global: { scrape_interval: 1s }');
  site.canopy(
    'parent',
    ...['parent', '--config.file', parentConfig, '--storage.path', site.path('parent')],
    ...['--web.listen-address', `127.0.0.1:${parentPort}`],
  );
  site.canopy(
    'leaf',
    ...['leaf', '--config.file', config, '--storage.path', site.path('leaf'), '--parent', parent],
    ...[
      '--web.listen-address',
      `127.0.0.1:${leafPort}`,
      '--leaf.name',
      'a<b>leaf',
      '--cluster',
      'east',
    ],
  );
  await waitReady(parent);
  await eventually(20_000, 'leaf pulled', async () => {
    expect(await query(parent, 'up{job="self"} == 1')).toHaveLength(1);
  });
  const { stdout } = await promisify(execFile)(
    'chromium',
    [...CHROMIUM, `--user-data-dir=${site.path('chromium')}`, '--dump-dom', `${parent}/`],
    { timeout: 60_000, maxBuffer: 16 * 1024 * 1024 },
  );
  expect(stdout).toContain('a&lt;b&gt;leaf');
  expect(stdout).not.toContain('<b>leaf');
});
