/** A leaf and a parent that show each other certificates, both of which change without a restart. */
import { request } from 'node:https';
import { afterAll, expect, it } from 'vitest';
import { Site, eventually, freePort } from '../processes.js';
import { type Authority, FIRST, SECOND } from './authorities.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

/** Of "test". */
const HASH = '$2b$04$HLluHRxLh91xyQQcDqM.NeeQokD38R4UTu5obKWtccx2VSm2lOE5u';

/** What is on disk: certificates of one authority, trust in one or both. */
function install(authority: Authority, trusted: readonly Authority[]): void {
  for (const who of ['parent', 'east'] as const) {
    // The certificate first: for a moment it is there without its key.
    site.file(`${who}.pem`, authority[who].cert);
    site.file(`${who}.key`, authority[who].key);
  }
  site.file('ca.pem', trusted.map(({ ca }) => ca).join(''));
}

const webConfig = (who: string): string => `
tls_server_config:
  cert_file: ${who}.pem
  key_file: ${who}.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
basic_auth_users: {canopy: "${HASH}"}
`;
const httpConfig = (who: string): string => `
tls_config: {ca_file: ca.pem, cert_file: ${who}.pem, key_file: ${who}.key}
basic_auth: {username: canopy, password_file: password}
`;

interface LedgerJournal {
  readonly jobs: ReadonlyArray<{ readonly job: string; readonly refused: Record<string, number> }>;
}

/** Over a connection of its own; rejects where there is none. */
function ask(
  base: string,
  path: string,
  authority: Authority,
  auth = 'canopy:test',
): Promise<{ status: number; text: string; issuer: string }> {
  return new Promise((resolve, reject) => {
    const { cert, key } = authority.parent;
    const options = { ca: FIRST.ca + SECOND.ca, cert, key, agent: false, auth };
    const req = request(`${base}${path}`, options, (res) => {
      const { issuer } = (
        res.socket as unknown as { getPeerCertificate(): { issuer: { CN: string } } }
      ).getPeerCertificate();
      let text = '';
      res.on('data', (chunk: Buffer) => (text += chunk.toString()));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, text, issuer: issuer.CN }));
    });
    req.on('error', reject);
    req.end();
  });
}

async function valueOf(base: string, authority: Authority, expr: string): Promise<number> {
  const path = `/api/v1/query?query=${encodeURIComponent(expr)}`;
  const { status, text } = await ask(base, path, authority);
  expect(status, text).toBe(200);
  const { data } = JSON.parse(text) as { data: { result: Array<{ value: [number, string] }> } };
  return Number(data.result[0]?.value[1] ?? Number.NaN);
}

it('leaf and parent with client certificates, changed while they run', async () => {
  install(FIRST, [FIRST]);
  site.file('password', 'test\n');
  for (const who of ['parent', 'east']) {
    site.file(`${who}.web.yml`, webConfig(who));
    site.file(`${who}.http.yml`, httpConfig(who));
  }
  const ports = { parent: await freePort(), east: await freePort() };
  const parent = `https://127.0.0.1:${ports.parent}`;
  const leaf = `https://127.0.0.1:${ports.east}`;
  const prometheus = (name: string, jobs: string) =>
    site.file(name, `global: {scrape_interval: 1s, scrape_timeout: 1s}\n${jobs}`);
  const common = (who: 'parent' | 'east'): string[] => [
    ...['--web.config.file', site.path(`${who}.web.yml`)],
    ...['--federation.http-config-file', site.path(`${who}.http.yml`)],
    ...['--web.listen-address', `127.0.0.1:${ports[who]}`, '--storage.path', site.path(who)],
  ];
  const parentConfig = prometheus('parent.yml', '');
  const running = site.canopy(
    ...['parent', 'parent', '--config.file', parentConfig, ...common('parent')],
    ...['--federation.enforce-labels', 'cluster'],
  );
  // The leaf scrapes itself, over TLS, too.
  const leafConfig = prometheus(
    'east.yml',
    `scrape_configs:
- job_name: self
  scheme: https
  tls_config: {ca_file: ca.pem, cert_file: east.pem, key_file: east.key}
  basic_auth: {username: canopy, password_file: password}
  static_configs: [{targets: ["127.0.0.1:${ports.east}"]}]
- job_name: forger
  scheme: https
  tls_config: {ca_file: ca.pem, cert_file: east.pem, key_file: east.key}
  basic_auth: {username: canopy, password_file: password}
  static_configs: [{targets: ["127.0.0.1:${ports.east}"], labels: {cluster: west}}]
`,
  );
  const east = site.canopy(
    ...['east', 'leaf', '--config.file', leafConfig, ...common('east')],
    ...['--cluster', 'east', '--leaf.name', 'east', '--parent', parent],
  );
  const isFresh = async (authority: Authority): Promise<void> =>
    eventually(40_000, 'the leaf is pulled', async () => {
      const output = `${running.output}\n${east.output}`;
      const age = 'time() - timestamp(up{job="self",cluster="east"} == 1)';
      expect(await valueOf(parent, authority, age), output).toBeLessThan(4);
    });
  await isFresh(FIRST);

  // Whoever has no certificate, or one and no password, is let in nowhere.
  for (const base of [parent, leaf]) {
    const bare = { ...FIRST, parent: { cert: '', key: '' } };
    await expect(ask(base, '/-/healthy', bare)).rejects.toThrow();
    expect((await ask(base, '/-/healthy', FIRST, 'canopy:wrong')).status).toBe(401);
    await expect(ask(base, '/-/healthy', SECOND)).rejects.toThrow();
  }

  // A label that the leaf did not register stays at the leaf.
  expect(await valueOf(leaf, FIRST, 'up{job="forger",cluster="west"}')).toBe(1);
  expect(await valueOf(parent, FIRST, 'up{job="forger",cluster="west"}')).toBeNaN();
  const metrics = (await ask(parent, '/metrics', FIRST)).text;
  expect(metrics).toMatch(/canopy_pulls_refused_total\{reason="forged_label"\} 1\n/);
  expect(metrics).toMatch(/canopy_leaves\{state="present"\} 1\n/);

  // First both authorities are believed, then certificates come from the second, then the first goes.
  install(FIRST, [FIRST, SECOND]);
  await isFresh(FIRST);
  install(SECOND, [FIRST, SECOND]);
  await eventually(10_000, 'new certificates are shown', async () => {
    for (const base of [parent, leaf]) {
      expect((await ask(base, '/-/healthy', SECOND)).issuer).toBe('second authority');
    }
  });
  install(SECOND, [SECOND]);
  await isFresh(SECOND);
  for (const base of [parent, leaf]) {
    await expect(ask(base, '/-/healthy', FIRST)).rejects.toThrow();
  }
  // All the while nothing was lost.
  const samples = async (base: string, time: number): Promise<string> =>
    (await ask(base, `/api/v1/query?query=up{job="self"}[2m]&time=${time}`, SECOND)).text;
  await eventually(20_000, 'the parent has what the leaf has', async () => {
    const time = Math.floor(Date.now() / 1000) - 2;
    const there = await samples(parent, time);
    expect(there.match(/"1"/g)?.length).toBeGreaterThan(2);
    expect(there).toBe(await samples(leaf, time));
  });

  await eventually(20_000, 'the ledger names it', async () => {
    const { text } = await ask(parent, '/api/v1/status/ledger', SECOND);
    const { journals } = (JSON.parse(text) as { data: { journals: LedgerJournal[] } }).data;
    const job = journals.flatMap(({ jobs }) => jobs).find(({ job: name }) => name === 'forger');
    expect(job).toMatchObject({ verdict: 'balanced', missing: 0, stored: 0 });
    expect(job?.refused.forged_label).toBeGreaterThan(0);
  });

  // Pages and logs hold no secret.
  for (const path of [
    '/metrics',
    '/api/v1/status/config',
    '/api/v1/status/flags',
    '/api/v1/targets',
  ]) {
    expect((await ask(parent, path, SECOND)).text).not.toMatch(/PRIVATE KEY|\$2b\$|Basic /);
  }
  expect(running.output + east.output).not.toMatch(/PRIVATE KEY|\$2b\$|uncaught/);

  // The command line shows the certificate and the password, too.
  const asking = ['--url', parent, '--http.config.file', site.path('parent.http.yml')];
  const commands = [['tree'], ['ledger'], ['query', 'up{job="self"}']].map((command) =>
    site.canopy('command', ...command, ...asking),
  );
  const bare = site.canopy('command', 'tree', '--url', parent);
  for (const program of commands) {
    expect(await program.ended(), program.output).toBe(0);
    expect(program.output).toContain('east');
  }
  expect(await bare.ended()).toBe(1);
  expect(bare.output).toContain('certificate signed by unknown authority');

  // A clean stop is no loss.
  expect(await east.kill('SIGTERM')).toBe(0);
  await eventually(20_000, 'the leaf has left', async () => {
    const { text } = await ask(parent, '/api/v1/status/hierarchy', SECOND);
    expect((JSON.parse(text) as { data: { sources: unknown[] } }).data.sources).toEqual([]);
    expect((await ask(parent, '/metrics', SECOND)).text).toMatch(
      /canopy_registrations_total\{kind="left"\} 1\n/,
    );
  });
});
