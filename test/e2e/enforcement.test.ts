/** --federation.enforce-labels holds whoever brings samples to what is allowed: text that is pulled, and what is pushed. */
import { compressSync } from 'snappy';
import { afterAll, expect, it } from 'vitest';
import { WriteRequest1 } from '../../packages/federation/src/testing/write-messages.js';
import { Site, eventually, freePort, get, query, waitReady } from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

/** A `/federate` of series with the label `cluster`, as a Prometheus answers it. */
function federation(clusters: () => readonly string[]): Promise<number> {
  return site.serve((_req, res) => {
    res.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
    const lines = clusters().map((cluster) => {
      const labels = `cluster="${cluster}",instance="i",job="node"`;
      return `pulled{${labels}} 1 ${Date.now()}\n`;
    });
    res.end(`# TYPE pulled untyped\n${lines.join('')}`);
  });
}

it('a source that says another cluster than it may is refused, counted and named', async () => {
  let clusters = ['east'];
  const [mixed, good] = [await federation(() => clusters), await federation(() => ['west'])];
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const entry = (job: string, to: number, cluster: string): string => `- job_name: ${job}
  metrics_path: /federate
  honor_labels: true
  static_configs: [{targets: ["127.0.0.1:${to}"], labels: {cluster: ${cluster}}}]
`;
  const config = `global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
${entry('mixed', mixed, 'east')}${entry('good', good, 'west')}`;
  const tokens = 's3cret-of-all\ns3cret-of-east cluster=east\n';
  site.canopy(
    ...['parent', 'parent', '--config.file', site.file('parent.yml', config)],
    ...['--storage.path', site.path('parent'), '--web.listen-address', `127.0.0.1:${port}`],
    ...['--federation.enforce-labels', 'cluster', '--web.enable-remote-write-receiver'],
    ...['--federation.token-file', site.file('tokens', tokens)],
  );
  await waitReady(base);
  const count = async (expr: string): Promise<number> =>
    Number((await query(base, expr))[0]?.value?.[1] ?? 0);
  const ledger = async () => {
    const { data } = JSON.parse(await get(`${base}/api/v1/status/ledger`)) as {
      data: {
        journals: Array<{
          refused: Record<string, number>;
          jobs: Array<{ job: string; refused: Record<string, number> }>;
        }>;
      };
    };
    return data.journals[0];
  };
  await eventually(20_000, 'both are pulled', async () => {
    expect(await count('count(pulled)')).toBe(2);
  });

  clusters = ['east', 'west', 'south'];
  await eventually(20_000, 'the mixed one is refused', async () => {
    expect(await count('up{job="mixed"}')).toBe(0);
  });
  expect(await count('count(pulled{cluster="south"})')).toBe(0);
  expect(await count('up{job="good"}')).toBe(1);
  const targets = await get(`${base}/api/v1/targets?state=active`);
  expect(targets).toContain(
    'label cluster is enforced (metric: pulled, value: \\"west\\", allowed',
  );
  await eventually(20_000, 'ledger and metrics tell of it', async () => {
    const { jobs } = await ledger();
    const told = (name: string) => jobs.find(({ job }) => job === name)?.refused.forged_label ?? 0;
    expect([told('mixed') > 0, told('good')]).toEqual([true, 0]);
    const metrics = await get(`${base}/metrics`);
    expect(metrics).toMatch(
      /canopy_ledger_scrapes_total\{job="mixed",outcome="forged_label"\} [1-9]/,
    );
  });
  clusters = ['east'];
  await eventually(20_000, 'it is taken again', async () => {
    expect(await count('up{job="mixed"}')).toBe(1);
  });

  const push = async (cluster: string, headers: Record<string, string>) => {
    const labels = Object.entries({ __name__: 'pushed', cluster, job: 'j' });
    const series = {
      labels: labels.map(([name, value]) => ({ name, value })),
      samples: [{ timestamp: Date.now(), value: 1 }],
    };
    const bytes = WriteRequest1.encode(WriteRequest1.fromObject({ timeseries: [series] })).finish();
    const response = await fetch(`${base}/api/v1/write`, {
      method: 'POST',
      body: compressSync(Buffer.from(bytes)) as Buffer<ArrayBuffer>,
      headers: {
        'content-type': 'application/x-protobuf',
        'content-encoding': 'snappy',
        ...headers,
      },
    });
    return [response.status, await response.text()];
  };
  // As from another machine.
  const far = { 'x-forwarded-for': '10.0.0.1' };
  const east = { ...far, authorization: 'Bearer s3cret-of-east' };
  expect(await push('east', far)).toEqual([403, expect.stringContaining('token')]);
  expect(await push('east', { ...far, 'canopy-token': 'guessed' })).toEqual([
    403,
    expect.stringContaining('token'),
  ]);
  expect(await push('east', east)).toEqual([204, '']);
  expect(await push('west', east)).toEqual([400, expect.stringContaining('forged_label pushed')]);
  expect(await push('west', { ...far, 'canopy-token': 's3cret-of-all' })).toEqual([204, '']);
  expect(await push('north', {})).toEqual([204, '']);
  expect(await count('count(pushed)')).toBe(3);
  expect(await count('count(pushed{cluster="west"})')).toBe(1);
  await eventually(20_000, 'the ledger tells of it', async () => {
    const { jobs, refused } = await ledger();
    const scrapes = jobs.reduce((sum, job) => sum + (job.refused.forged_label ?? 0), 0);
    expect(refused.forged_label - scrapes).toBe(1);
  });
});
