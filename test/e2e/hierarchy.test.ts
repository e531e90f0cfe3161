/**
 * A whole hierarchy of real processes, with kills in between: node exporter → leaves east and west → a parent
 * with the embedded store and one on Redis → a third level; a Prometheus that scrapes the parent, and one that
 * is pulled by it. What a leaf has journalled is at every level above once, at its own time.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { completeUpTo, gapsOf, rawSamples } from '../hierarchy.js';
import {
  type ApiSeries,
  type Program,
  Site,
  eventually,
  freePort,
  get,
  isWithout,
  query,
  sleep,
  waitReady,
} from '../processes.js';

const hasRedis = !isWithout('redis');
const hasPrometheus = !isWithout('prometheus');
const hasExporter = !isWithout('node-exporter');

const site = new Site();
const ports = {} as Record<
  'exporter' | 'east' | 'west' | 'parent' | 'onRedis' | 'grand' | 'redis' | 'above' | 'foreign',
  number
>;
const url = (name: keyof typeof ports): string => `http://127.0.0.1:${ports[name]}`;
const started = new Map<string, () => Program>();
const running = new Map<string, Program>();

function start(name: string, make?: () => Program): Program {
  if (make !== undefined) started.set(name, make);
  const program = started.get(name)!();
  running.set(name, program);
  return program;
}

async function kill9(name: string): Promise<void> {
  expect(await running.get(name)!.kill('SIGKILL')).toBe('SIGKILL');
}

function leafConfig(): string {
  return [
    'global: { scrape_interval: 1s, external_labels: { region: test } }',
    'rule_files: [nothing.yml]',
    'scrape_configs:',
    '  - job_name: node',
    `    static_configs: [{ targets: ["127.0.0.1:${ports.exporter}"] }]`,
    '  - job_name: self',
    `    static_configs: [{ targets: ["127.0.0.1:${ports.east}", "127.0.0.1:${ports.west}"] }]`,
    '    metric_relabel_configs: [{ source_labels: [__name__], regex: "nodejs_.*", action: drop }]',
  ].join('\n');
}

function startLeaf(name: 'east' | 'west', ...more: string[]): void {
  const config = site.file(`${name}.yml`, leafConfig());
  start(name, () =>
    site.canopy(
      name,
      ...['leaf', '--config.file', config, '--cluster', name, '--leaf.name', name],
      ...['--web.listen-address', `127.0.0.1:${ports[name]}`, '--storage.path', site.path(name)],
      ...['--parent', url('parent'), ...more],
    ),
  );
}

function startParent(
  name: 'parent' | 'onRedis' | 'grand',
  config: string,
  ...more: string[]
): void {
  const file = site.file(`${name}.yml`, config);
  start(name, () =>
    site.canopy(
      name,
      ...['parent', '--config.file', file, '--leaf.name', name],
      ...['--web.listen-address', `127.0.0.1:${ports[name]}`, '--storage.path', site.path(name)],
      ...more,
    ),
  );
}

const PULL_FAST = 'global: { scrape_interval: 1s }\n';

function pulls(...targets: Array<keyof typeof ports>): string {
  const list = targets.map((name) => `"127.0.0.1:${ports[name]}"`).join(', ');
  return `scrape_configs:\n  - job_name: below\n    metrics_path: /federate\n    static_configs: [{ targets: [${list}] }]\n`;
}

beforeAll(async () => {
  for (const name of [
    'exporter',
    'east',
    'west',
    'parent',
    'onRedis',
    'grand',
    'redis',
    'above',
    'foreign',
  ] as const) {
    ports[name] = await freePort();
  }
  if (hasExporter) {
    start('exporter', () =>
      site.program(
        'node exporter',
        'prometheus-node-exporter',
        `--web.listen-address=127.0.0.1:${ports.exporter}`,
      ),
    );
  }
  if (hasPrometheus) {
    const foreign = site.file(
      'foreign.yml',
      `global: { scrape_interval: 1s }\nscrape_configs:\n  - job_name: itself\n    static_configs: [{ targets: ["127.0.0.1:${ports.foreign}"] }]\n`,
    );
    start('foreign', () => prometheus('foreign', foreign, ports.foreign));
  }
  const foreignJob = hasPrometheus
    ? `  - job_name: foreign\n    metrics_path: /federate\n    honor_labels: true\n    params: { "match[]": ['{job="itself"}'] }\n    static_configs: [{ targets: ["127.0.0.1:${ports.foreign}"] }]\n`
    : '';
  startParent('grand', PULL_FAST);
  startParent('parent', `${PULL_FAST}scrape_configs:\n${foreignJob}`, '--parent', url('grand'));
  startLeaf('east');
  startLeaf('west');
  if (hasRedis) {
    start('redis', () =>
      site.program(
        'redis',
        'redis-server',
        ...['--bind', '127.0.0.1', '--port', String(ports.redis), '--dir', site.folder],
        ...['--appendonly', 'yes', '--maxmemory', '256mb', '--maxmemory-policy', 'noeviction'],
      ),
    );
    startParent(
      'onRedis',
      PULL_FAST + pulls('east', 'west'),
      ...['--store', `redis://127.0.0.1:${ports.redis}`],
    );
  }
  await Promise.all([waitReady(url('east')), waitReady(url('west')), waitReady(url('parent'))]);
});

afterAll(() => site[Symbol.asyncDispose]());

function prometheus(name: string, config: string, port: number): Program {
  return site.program(
    name,
    'prometheus',
    `--config.file=${config}`,
    `--storage.tsdb.path=${site.path(`${name}-data`)}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=warn',
  );
}

describe.skipIf(!hasExporter)('a hierarchy', () => {
  it('brings up every target of both clusters', async () => {
    await eventually(30_000, 'targets up', async () => {
      const [result] = await query(url('parent'), 'count(up == 1)');
      // Three targets a leaf, and the parent's own view of both leaves.
      expect(Number(result?.value?.[1])).toBeGreaterThanOrEqual(8);
      const leaves = await query(url('parent'), 'up{job="canopy"} == 1');
      expect(leaves.map((series) => series.metric.instance).sort()).toEqual(
        [`127.0.0.1:${ports.east}`, `127.0.0.1:${ports.west}`].sort(),
      );
    });
  });

  it('has each journalled scrape once, at its own time, whatever is killed', async () => {
    await sleep(4000);
    await kill9('parent');
    await sleep(3000);
    start('parent');
    await sleep(2000);
    await kill9('east');
    await sleep(2500);
    start('east');
    if (hasRedis) {
      await kill9('onRedis');
      await sleep(2000);
      start('onRedis');
    }
    await Promise.all([waitReady(url('east')), waitReady(url('parent'))]);
    await sleep(4000);
    const time = Math.floor(Date.now() / 1000);
    await sleep(1500);

    const levels: Array<keyof typeof ports> = ['parent', 'grand'];
    await completeUpTo(url('parent'), time, ['east', 'west']);
    if (hasRedis) {
      levels.push('onRedis');
      await waitReady(url('onRedis'));
      await completeUpTo(url('onRedis'), time, ['east', 'west']);
    }
    await completeUpTo(url('grand'), time, ['parent']);
    for (const leaf of ['east', 'west'] as const) {
      const selector = `{cluster="${leaf}"}`;
      const journalled = await rawSamples(url(leaf), selector, time);
      expect(journalled.size).toBeGreaterThan(200);
      for (const level of levels) {
        const there = await rawSamples(url(level), selector, time);
        expect([...there.keys()].sort(), `series of ${leaf} at ${level}`).toEqual(
          [...journalled.keys()].sort(),
        );
        for (const [labels, values] of journalled) {
          expect(there.get(labels), `${labels} at ${level}`).toBe(values);
        }
      }
    }
  });

  it('named the gap that killing a leaf made, and no other', async () => {
    const causes = async (name: string) =>
      new Set((await gapsOf(url('parent'), name)).map((gap) => gap.cause));
    expect(await causes('east')).toEqual(new Set(['restart']));
    expect(await causes('west')).toEqual(new Set());
  });

  it('shows staleness at the same step at every level', async () => {
    await kill9('exporter');
    await sleep(3500);
    const end = Math.floor(Date.now() / 1000);
    await completeUpTo(url('parent'), end, ['east', 'west']);
    const range = async (base: string) => {
      const text = await get(
        `${base}/api/v1/query_range?query=${encodeURIComponent('node_load1{cluster="east"}')}&start=${end - 20}&end=${end}&step=0.5`,
      );
      return (JSON.parse(text) as { data: { result: ApiSeries[] } }).data.result;
    };
    const [atLeaf] = await range(url('east'));
    const [atParent] = await range(url('parent'));
    expect(atLeaf.values!.length).toBeLessThan(41);
    expect(atParent.values).toEqual(atLeaf.values);
    const [down] = await query(url('parent'), 'up{job="node",cluster="east"}', end);
    expect(down.value![1]).toBe('0');
    start('exporter');
  });

  it('keeps type and help at every level', async () => {
    for (const level of ['east', 'parent', 'grand'] as const) {
      const text = await get(`${url(level)}/api/v1/metadata?metric=node_cpu_seconds_total`);
      const { data } = JSON.parse(text) as {
        data: Record<string, Array<{ type: string; help: string }>>;
      };
      expect(data.node_cpu_seconds_total).toEqual([
        { type: 'counter', help: 'Seconds the CPUs spent in each mode.', unit: '' },
      ]);
    }
  });

  it('prints the hierarchy and answers queries on the command line', () => {
    const run = (...args: string[]) =>
      execFileSync(process.execPath, [
        new URL('../../packages/canopy/dist/main.js', import.meta.url).pathname,
        ...args,
      ]).toString();
    const tree = run('tree', '--url', url('parent'));
    expect(tree).toMatch(/east/);
    expect(tree).toMatch(/west/);
    expect(run('query', 'up{job="node",cluster="west"}', '--url', url('parent'))).toMatch(/west/);
  });
});

describe.skipIf(!hasPrometheus)('plain Prometheus both ways', () => {
  it('answers /federate without a parse error', async () => {
    const text = await get(`${url('parent')}/federate?match[]=${encodeURIComponent('{job!=""}')}`);
    expect(text.split('\n').length).toBeGreaterThan(100);
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: text });
    // 3 is lint: names of other people's metrics.
    expect([0, 3], checked.stderr.toString()).toContain(checked.status);
  });

  it('is scraped by a real Prometheus', async () => {
    const config = site.file(
      'above.yml',
      `global: { scrape_interval: 1s }\nscrape_configs:\n  - job_name: canopy\n    honor_labels: true\n    metrics_path: /federate\n    params: { "match[]": ['{job!=""}'] }\n    static_configs: [{ targets: ["127.0.0.1:${ports.parent}"] }]\n`,
    );
    start('above', () => prometheus('above', config, ports.above));
    await eventually(30_000, 'series in Prometheus', async () => {
      const [count] = await query(url('above'), 'count({cluster="east"})');
      expect(Number(count?.value?.[1])).toBeGreaterThan(hasExporter ? 100 : 10);
      const [up] = await query(url('above'), 'up{job="canopy"} == 1');
      expect(up).toBeDefined();
    });
  });

  it('pulls a real Prometheus, whose samples keep their times', async () => {
    await eventually(30_000, 'foreign series', async () => {
      expect(await query(url('parent'), 'up{job="itself"}')).toHaveLength(1);
    });
    await sleep(3000);
    const time = Math.floor(Date.now() / 1000) - 1;
    const own = await rawSamples(
      url('foreign'),
      'prometheus_http_requests_total{handler="/federate"}',
      time,
    );
    const pulled = await rawSamples(
      url('parent'),
      'prometheus_http_requests_total{handler="/federate"}',
      time,
    );
    expect(pulled.size).toBeGreaterThan(0);
    for (const [labels, values] of pulled) {
      const there = new Set(
        (JSON.parse(own.get(labels)!) as unknown[]).map((v) => JSON.stringify(v)),
      );
      for (const sample of JSON.parse(values) as unknown[])
        expect(there).toContain(JSON.stringify(sample));
    }
  });
});
