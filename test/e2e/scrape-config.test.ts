/** A leaf whose jobs use what a scrape configuration offers: credentials, TLS, limits, extra metrics. */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  CA_CERT,
  SERVER_CERT,
  SERVER_KEY,
} from '../../packages/scrape/src/testing/certificates.js';
import { Site, eventually, freePort, get, query, waitReady } from '../processes.js';

const site = new Site();
const servers: Server[] = [];
let plain = 0;
let secure = 0;
/** What an exporter that asks for credentials takes at the moment. */
let password = 'hunter2';

beforeAll(async () => {
  const server = createServer((_req, res) => {
    res.setHeader('content-type', 'text/plain').end('x 1\ny 2\nz 3\n');
  });
  const secureServer = createSecureServer({ cert: SERVER_CERT, key: SERVER_KEY }, (req, res) => {
    const expected = `Basic ${Buffer.from(`me:${password}`).toString('base64')}`;
    if (req.headers.authorization !== expected) res.writeHead(401).end();
    else res.setHeader('content-type', 'text/plain').end('guarded 1\n');
  });
  for (const one of [server, secureServer]) {
    servers.push(one);
    await new Promise<void>((done) => one.listen(0, '127.0.0.1', done));
  }
  plain = (server.address() as AddressInfo).port;
  secure = (secureServer.address() as AddressInfo).port;
});
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await site[Symbol.asyncDispose]();
});

it('guarded, limited and extra', async () => {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const passwordFile = site.file('password', `${password}\n`);
  site.file('ca.pem', CA_CERT);
  const config = site.file(
    'scrape-config.yml',
    `global: {scrape_interval: 1s, scrape_timeout: 1s, scrape_failure_log_file: failures.log}
scrape_configs:
- job_name: guarded
  scheme: https
  basic_auth: {username: me, password_file: password}
  tls_config: {ca_file: ca.pem}
  http_headers: {X-Key: {secrets: [hunter3]}}
  static_configs: [{targets: ["127.0.0.1:${secure}"]}]
- job_name: limited
  sample_limit: 2
  extra_scrape_metrics: true
  static_configs: [{targets: ["127.0.0.1:${plain}"]}]
`,
  );
  const leaf = site.canopy(
    ...['leaf', 'leaf', '--config.file', config, '--storage.path', site.path('scrape-config')],
    ...['--web.listen-address', `127.0.0.1:${port}`, '--log.level', 'debug'],
  );
  await waitReady(base);
  const value = async (expr: string): Promise<string | undefined> =>
    (await query(base, expr))[0]?.value?.[1];
  await eventually(20_000, 'the guarded one is scraped', async () => {
    expect(await value('guarded')).toBe('1');
  });
  await eventually(20_000, 'the limited one is refused', async () => {
    expect(await value('up{job="limited"}')).toBe('0');
  });
  expect(await query(base, '{job="limited",__name__=~"x|y|z"}')).toEqual([]);
  expect(await value('scrape_sample_limit')).toBe('2');
  expect(await value('scrape_body_size_bytes')).toBe('12');
  expect(await value('scrape_timeout_seconds')).toBe('1');
  expect(await get(`${base}/api/v1/targets`)).toContain('sample limit exceeded');
  expect(await get(`${base}/metrics`)).toMatch(
    /canopy_scrape_failures_total\{reason="sample_limit"\} \d+/,
  );
  await eventually(10_000, 'the ledger tells it', async () => {
    const body = JSON.parse(await get(`${base}/api/v1/status/hierarchy`)) as {
      data: { journal: { ledger: { refused: Record<string, number> } } };
    };
    expect(body.data.journal.ledger.refused.sample_limit).toBeGreaterThan(0);
  });

  // The password changes at the exporter, then in its file: no reload is needed.
  password = 'hunter4';
  await eventually(20_000, 'the old password is not taken', async () => {
    expect(await value('up{job="guarded"}')).toBe('0');
  });
  writeFileSync(passwordFile, password);
  await eventually(20_000, 'the new password is taken', async () => {
    expect(await value('up{job="guarded"}')).toBe('1');
  });
  const failures = readFileSync(site.path('failures.log'), 'utf8');
  expect(failures).toMatch(/"msg":"sample limit exceeded.*"job_name":"limited"/);
  expect(failures).toMatch(/HTTP status 401/);
  const pages = [
    '/api/v1/status/config',
    '/api/v1/targets',
    '/metrics',
    '/api/v1/status/hierarchy',
  ];
  for (const page of pages) expect(await get(base + page), page).not.toContain('hunter');
  expect(leaf.output + failures).not.toContain('hunter');
});
