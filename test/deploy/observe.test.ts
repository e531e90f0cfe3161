/**
 * The dashboard and the alert rules speak of metrics that exist, in PromQL that parses, here and
 * in Prometheus. The small programs of the image do what they say.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseQuery } from '@canopy/promql';
import { CA_CERT, SERVER_CERT, SERVER_KEY } from '@canopy/scrape/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { METRICS, type MetricDescription } from '../../packages/canopy/src/metrics/names.js';
import { compose, dashboard, root, ruleFile, yaml } from './files.js';

const folder = mkdtempSync(join(tmpdir(), 'canopy-deploy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What Grafana would send. */
const asSent = (expr: string): string =>
  expr.replaceAll('$__rate_interval', '1m').replaceAll('$cluster', '.*');

const alerts = ruleFile().groups.flatMap((group) => group.rules);
const panels = dashboard().panels;
const expressions: Array<[where: string, expr: string]> = [
  ...alerts.map((rule): [string, string] => [`alert ${rule.alert}`, rule.expr]),
  ...panels.flatMap((panel) =>
    panel.targets.map((target): [string, string] => [`panel ${panel.title}`, asSent(target.expr)]),
  ),
];

/** Labels that scraping and federation add to every metric. */
const TARGET_LABELS = ['job', 'instance', 'cluster'];
/** From scraping, not Canopy's own. */
const OTHER_METRICS = new Set(['up']);

describe.each(expressions)('%s', (_where, expr) => {
  it('parses', () => {
    expect(() => parseQuery(expr)).not.toThrow();
  });

  it('names metrics and labels that exist', () => {
    const names = expr.match(/\b(?:canopy_\w+|up\b)/g) ?? [];
    expect(names.length).toBeGreaterThan(0);
    const labels = new Set(TARGET_LABELS);
    for (const name of names) {
      if (OTHER_METRICS.has(name)) continue;
      const description: MetricDescription | undefined = (
        METRICS as Record<string, MetricDescription>
      )[name];
      expect(description, name).toBeDefined();
      for (const label of description?.labels ?? []) labels.add(label);
    }
    const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap((match) =>
      match[1].split(/,\s*/),
    );
    const matched = [...expr.matchAll(/[{,]\s*(\w+)\s*(?:=~|!~|!=|=)"/g)].map((match) => match[1]);
    for (const label of [...grouped, ...matched]) expect([...labels]).toContain(label);
  });
});

describe('dashboard', () => {
  it('shows lag, gaps, and how full journal and store are', () => {
    const shown = panels.flatMap((panel) => panel.targets.map((target) => target.expr)).join('\n');
    for (const name of [
      'canopy_source_lag_seconds',
      'canopy_gaps_total',
      'canopy_journal_bytes',
      'canopy_store_used_bytes',
    ]) {
      expect(shown).toContain(name);
    }
  });

  it('reads from the provisioned data source, and lies where the provider looks', () => {
    const [{ datasources }] = yaml<{ datasources: Array<{ uid: string; type: string }> }>(
      'deploy/grafana/provisioning/datasources/canopy.yml',
    );
    expect(datasources.map(({ type }) => type)).toEqual(['prometheus']);
    for (const panel of panels) expect(panel.datasource.uid).toBe(datasources[0].uid);
    expect(new Set(panels.map((panel) => panel.id)).size).toBe(panels.length);
    const [{ providers }] = yaml<{ providers: Array<{ options: { path: string } }> }>(
      'deploy/grafana/provisioning/dashboards/canopy.yml',
    );
    expect(compose().services['grafana'].volumes).toContain(
      `./deploy/grafana/dashboards:${providers[0].options.path}:ro`,
    );
  });
});

const isWithout = (process.env['CANOPY_TEST_WITHOUT'] ?? '').split(',').includes('prometheus');

describe.skipIf(isWithout)('promtool', () => {
  const promtool = (...args: string[]): string => {
    const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8' });
    if (error !== undefined) throw new Error(`promtool is needed (${error.message})`);
    return status === 0 ? '' : `${stdout}${stderr}`;
  };

  it('accepts the rules', () => {
    expect(promtool('check', 'rules', join(root, 'deploy/prometheus/canopy.rules.yml'))).toBe('');
  });

  it('finds that the rules fire when they must, and only then', () => {
    expect(promtool('test', 'rules', join(root, 'deploy/prometheus/canopy.rules.test.yml'))).toBe(
      '',
    );
  });

  it('accepts the queries of the dashboard', () => {
    const rules = panels.flatMap((panel) =>
      panel.targets.map((target) => ({
        record: 'x',
        expr: asSent(target.expr),
        labels: { panel: `${panel.id}` },
      })),
    );
    const file = join(folder, 'dashboard.rules.yml');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
    expect(promtool('check', 'rules', file)).toBe('');
  });
});

describe('programs of the image', () => {
  /** Not spawnSync: the server that is asked lives in this process. */
  const run = (script: string, args: string[], env: Record<string, string> = {}): Promise<number> =>
    new Promise((resolve) => {
      const options = { env: { ...process.env, ...env } };
      const child = execFile(process.execPath, [join(root, 'deploy', script), ...args], options);
      child.once('exit', (code) => resolve(code ?? -1));
    });

  it('make-token.mjs makes a token once, for its owner only', async () => {
    const file = join(folder, 'federation.token');
    expect(await run('make-token.mjs', [file])).toBe(0);
    const token = readFileSync(file, 'utf8');
    expect(token).toMatch(/^[0-9a-f]{64}\n$/);
    expect(statSync(file).mode & 0o777).toBe(0o400);
    expect(await run('make-token.mjs', [file])).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(token);
    expect(await run('make-token.mjs', [])).toBe(2);
  });

  it('healthcheck.mjs tells a healthy process from others', async () => {
    let status = 200;
    const server = createServer((_request, response) => response.writeHead(status).end());
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/-/healthy`;
    try {
      expect(await run('healthcheck.mjs', [], { CANOPY_HEALTH_URL: url })).toBe(0);
      status = 503;
      expect(await run('healthcheck.mjs', [], { CANOPY_HEALTH_URL: url })).toBe(1);
    } finally {
      await new Promise((done) => server.close(done));
    }
    expect(await run('healthcheck.mjs', [], { CANOPY_HEALTH_URL: url })).toBe(1);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'healthcheck.mjs takes who asks for a certificate or a password for alive: %s',
    async (version) => {
      const asking = { requestCert: true, rejectUnauthorized: true, ca: CA_CERT };
      for (const given of [asking, {}]) {
        const server = createTlsServer(
          { ...given, cert: SERVER_CERT, key: SERVER_KEY, maxVersion: version },
          (_request, response) => response.writeHead(401).end(),
        );
        await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
        const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/-/healthy`;
        expect(await run('healthcheck.mjs', [], { CANOPY_HEALTH_URL: url })).toBe(0);
        await new Promise((done) => server.close(done));
      }
    },
  );
});
