/** Nobody who is not trusted makes a parent call an address, and who is trusted leads it nowhere else. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Program, Site, eventually, freePort, get, query, waitReady } from '../processes.js';

const site = new Site();
const servers: Server[] = [];
let base = '';
let parent: Program;
/** Requests that came to an address that nothing should ask. */
const asked: string[] = [];
let hidden = 0;

async function listen(answer: (url: string) => { status: number; text: string; to?: string }) {
  const server = createServer((req, res) => {
    const { status, text, to } = answer(req.url ?? '');
    const location = to === undefined ? {} : { location: to };
    res.writeHead(status, { 'content-type': 'text/plain', ...location }).end(text);
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  hidden = await listen((url) => {
    asked.push(url);
    return { status: 200, text: 'secret_total 1\n' };
  });
  const port = await freePort();
  base = `http://127.0.0.1:${port}`;
  const config = site.file('parent.yml', 'global: {scrape_interval: 1s, scrape_timeout: 1s}\n');
  parent = site.canopy(
    ...['parent', 'parent', '--config.file', config, '--storage.path', site.path('parent')],
    ...['--web.listen-address', `127.0.0.1:${port}`, '--federation.max-leaves', '3'],
  );
  await waitReady(base);
});
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await site[Symbol.asyncDispose]();
});

let leaves = 0;

async function announce(url: string, headers: Record<string, string> = {}): Promise<number> {
  const number = (leaves++).toString(16);
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ name: `leaf ${number}`, url, journal: number.padStart(32, '0') }),
  };
  const response = await fetch(`${base}/api/v1/canopy/leaves`, init);
  await response.text();
  return response.status;
}

it('takes no address from strangers, however it is spelt', async () => {
  const spellings = [
    `http://127.0.0.1:${hidden}`,
    `http://localhost:${hidden}`,
    `http://[::ffff:127.0.0.1]:${hidden}`,
    `http://[::1]:${hidden}`,
    `http://2130706433:${hidden}`,
    `http://0x7f.1:${hidden}`,
    `http://0:${hidden}`,
    `http://127.0.0.1.nip.io:${hidden}`,
    'http://169.254.169.254',
    `https://127.0.0.1:${hidden}`,
  ];
  const strangers: Array<Record<string, string>> = [
    { 'x-forwarded-for': '192.0.2.1' },
    { 'x-forwarded-for': '127.0.0.1' }, // it says so itself
    { forwarded: 'for=127.0.0.1' },
    { 'x-real-ip': '127.0.0.1' },
    { via: '1.1 proxy' },
    { origin: base }, // a page, of whatever name that leads here
    { 'sec-fetch-site': 'same-origin' },
    { via: 'x', authorization: 'Bearer ' },
    { via: 'x', 'canopy-token': 'undefined' },
  ];
  for (const url of spellings) {
    for (const headers of strangers) {
      expect(await announce(url, headers), `${url} ${JSON.stringify(headers)}`).toBe(403);
    }
  }
  expect(await get(`${base}/metrics`)).toMatch(
    /canopy_registrations_refused_total\{reason="forbidden"\} 90\n/,
  );
  expect(JSON.parse(await get(`${base}/api/v1/targets`))).toMatchObject({
    data: { activeTargets: [] },
  });
});

it('follows no redirect, and takes no text', async () => {
  const pulls = { redirected: 0, text: 0 };
  const redirecting = await listen(() => {
    pulls.redirected++;
    return { status: 302, text: '', to: `http://127.0.0.1:${hidden}/federate` };
  });
  const text = await listen(() => {
    pulls.text++;
    return { status: 200, text: 'secret_total 1\n' };
  });
  expect(await announce(`http://127.0.0.1:${redirecting}`)).toBe(200);
  expect(await announce(`http://127.0.0.1:${text}/sub`)).toBe(200);
  await eventually(20_000, 'both are pulled and down', async () => {
    expect(Math.min(pulls.redirected, pulls.text)).toBeGreaterThan(1);
    const targets = await get(`${base}/api/v1/targets`);
    expect(targets).toContain('server returned HTTP status 302');
    expect(targets).toContain('the source answers with something else than frames');
    expect((await query(base, 'up{job="canopy"} == 0')).length).toBe(2);
  });
  expect(await query(base, 'secret_total')).toEqual([]);
  // The third is taken, the fourth is one too many.
  expect(await announce('http://127.0.0.1:1')).toBe(200);
  expect(await announce('http://127.0.0.1:2')).toBe(429);
  expect(asked).toEqual([]);
  expect(parent.isRunning).toBe(true);
});
