/**
 * A real Prometheus and a leaf scrape the same bodies: what one stores, the other stores. Compared are series,
 * values, own times, synthetic series, and which series exist just after each scrape (staleness).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ApiSeries,
  Site,
  eventually,
  freePort,
  isWithout,
  query,
  waitReady,
} from '../processes.js';
import { ODDITIES } from './oddities.js';
import { type AnswerSource, RecordingProxy, fromExporter, PROTOBUF } from './recorded.js';

interface Explained {
  readonly job: RegExp;
  readonly series: RegExp;
  readonly reason: string;
}

/** Differences in values that are meant, with the reason. */
const EXPLAINED_VALUES: readonly Explained[] = [
  {
    job: /./,
    series: /^scrape_duration_seconds\{/,
    reason: 'measured by each server itself',
  },
  {
    job: /^label_order$/,
    series: /^scrape_series_added\{/,
    reason: 'Prometheus counts texts of series; Canopy counts series',
  },
  {
    job: /^(broken|limited|blank_line|carriage_returns|openmetrics_cut|protobuf_cut)$/,
    series: /^scrape_(samples_scraped|samples_post_metric_relabeling|series_added)\{/,
    reason: 'of a body that is refused Prometheus counts the lines before the error; Canopy none',
  },
];

/** Bodies that one of the two refuses, with the reason. */
const EXPLAINED_REFUSALS: Readonly<Record<string, string>> = {
  indented:
    'Prometheus takes blanks at the start of a line for a part of the name, which version 2 then refuses',
};

/** Differences in which series exist after a scrape that are meant, with the reason. */
const EXPLAINED_STALENESS: readonly Explained[] = [
  {
    job: /^(broken|limited|openmetrics_cut)$/,
    series: /^(alive|m)\{/,
    reason:
      'of a body that is refused Prometheus takes the lines before the error for seen and does not end their series; Canopy ends them all',
  },
];

const SCRAPES = 13;
const left = ['prometheus', 'node-exporter', 'redis', 'exporters'].filter(isWithout);
const site = new Site();
const sources = new Map<string, AnswerSource>();
let proxy: RecordingProxy | undefined;
const urls = { prometheus: '', leaf: '' };

const labelsText = (series: ApiSeries): string => {
  const { __name__: name, ...labels } = series.metric;
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  // Prometheus 3 spells bounds as floats (`le="1.0"`), Debian's Prometheus 2 as the exporter wrote them.
  const text = (label: string, value: string) =>
    (label === 'le' || label === 'quantile') && /^\d+$/.test(value) ? `${value}.0` : value;
  return `${name}{${pairs.map(([label, value]) => `${label}=${JSON.stringify(text(label, value))}`).join(',')}}`;
};

async function startExporters(): Promise<void> {
  const ports = await Promise.all([1, 2, 3, 4].map(freePort));
  const [node, redis, redisExporter, push] = ports;
  site.program(
    'node exporter',
    'prometheus-node-exporter',
    `--web.listen-address=127.0.0.1:${node}`,
  );
  site.program(
    'redis',
    'redis-server',
    ...['--bind', '127.0.0.1', '--port', String(redis), '--save', '', '--dir', site.folder],
  );
  site.program(
    'redis exporter',
    'prometheus-redis-exporter',
    ...[`-redis.addr=redis://127.0.0.1:${redis}`, `-web.listen-address=127.0.0.1:${redisExporter}`],
  );
  site.program('pushgateway', 'prometheus-pushgateway', `--web.listen-address=127.0.0.1:${push}`);
  const exporters = { node, redis_exporter: redisExporter, pushgateway: push };
  for (const [name, port] of Object.entries(exporters)) {
    const url = `http://127.0.0.1:${port}/metrics`;
    await eventually(20_000, name, async () => expect((await fetch(url)).status).toBe(200));
    sources.set(name, fromExporter(url));
    sources.set(`${name}_protobuf`, fromExporter(url, PROTOBUF));
  }
  await fetch(`http://127.0.0.1:${push}/metrics/job/pushed/instance/there`, {
    method: 'POST',
    body: '# TYPE pushed counter\npushed 7\n',
  });
}

function configFor(port: number, extra: string): string {
  const lines = [`global: { scrape_interval: 1s, scrape_timeout: 1s${extra} }`, 'scrape_configs:'];
  for (const name of sources.keys()) {
    lines.push(
      `  - job_name: ${name}`,
      `    metrics_path: /${name}/metrics`,
      `    static_configs: [{ targets: ["127.0.0.1:${port}"] }]`,
      ...(ODDITIES[name]?.config ?? []).map((line) => `    ${line}`),
    );
  }
  return `${lines.join('\n')}\n`;
}

beforeAll(async () => {
  if (left.length > 0) return;
  await startExporters();
  for (const [name, { source }] of Object.entries(ODDITIES)) sources.set(name, source);
  const [prometheusPort, leafPort] = [await freePort(), await freePort()];
  urls.prometheus = `http://127.0.0.1:${prometheusPort}`;
  urls.leaf = `http://127.0.0.1:${leafPort}`;
  sources.set('prometheus_itself', fromExporter(`${urls.prometheus}/metrics`));
  sources.set('prometheus_protobuf', fromExporter(`${urls.prometheus}/metrics`, PROTOBUF));
  proxy = new RecordingProxy(sources);
  const proxyPort = await proxy.listen();
  const config = site.file('prometheus.yml', configFor(proxyPort, ''));
  // A key to 3.x and Canopy, a flag to 2.42.
  const ours = site.file('leaf.yml', configFor(proxyPort, ', extra_scrape_metrics: true'));
  site.program(
    'prometheus',
    'prometheus',
    ...[`--config.file=${config}`, `--storage.tsdb.path=${site.path('prometheus')}`],
    ...[`--web.listen-address=127.0.0.1:${prometheusPort}`, '--log.level=error'],
    '--enable-feature=extra-scrape-metrics',
  );
  site.canopy(
    'leaf',
    ...['leaf', '--config.file', ours, '--storage.path', site.path('leaf')],
    ...['--web.listen-address', `127.0.0.1:${leafPort}`],
  );
  await Promise.all([waitReady(urls.prometheus), waitReady(urls.leaf)]);
  await eventually(60_000, `${SCRAPES} scrapes by both`, async () => {
    expect(proxy!.scrapesOf(['Prometheus', 'Canopy'])).toBeGreaterThanOrEqual(SCRAPES + 2);
  });
});

afterAll(async () => {
  proxy?.close();
  await site[Symbol.asyncDispose]();
});

interface JobSamples {
  /** Values by series, as `scrape: value`. */
  readonly byScrape: Map<string, string>;
  /** Samples with a time of their own: series, time (Unix seconds), value. */
  readonly ownTimes: ReadonlyArray<readonly [series: string, time: number, value: string]>;
}

async function samplesOf(base: string, job: string): Promise<JobSamples> {
  const now = Date.now() / 1000 + 1;
  const ups = await query(base, `up{job="${job}"}[10m]`, now);
  const scrapes = new Map(ups[0].values!.map(([time], index) => [time, index]));
  const all = await query(base, `{job=~"${jobsOf(job)}"}[10m]`, now);
  const byScrape = new Map<string, string>();
  const ownTimes: Array<readonly [string, number, string]> = [];
  for (const series of all) {
    const name = labelsText(series);
    const values: string[] = [];
    for (const [time, value] of series.values!) {
      const scrape = scrapes.get(time);
      if (scrape === undefined) ownTimes.push([name, time, value]);
      else if (scrape < SCRAPES) values.push(`${scrape}: ${value}`);
    }
    if (values.length > 0) byScrape.set(name, values.join(', '));
  }
  return { byScrape, ownTimes };
}

/** Own-time samples of each series before the time that both servers have reached. */
function commonOwnTimes(samples: JobSamples, other: JobSamples): string[] {
  const newest = (one: JobSamples, series: string) =>
    Math.max(0, ...one.ownTimes.filter(([name]) => name === series).map(([, time]) => time));
  return samples.ownTimes
    .filter(([series, time]) => time < Math.min(newest(samples, series), newest(other, series)))
    .map((sample) => sample.join(' '))
    .sort();
}

/** Under `honor_labels` a series may say itself which job it is of. */
const jobsOf = (job: string): string => (job === 'honoured' ? 'honoured|conflicting' : job);

/** The series that exist just after each of the first scrapes. */
async function presentAfterEach(base: string, job: string): Promise<string[][]> {
  const [ups] = await query(base, `up{job="${job}"}[10m]`, Date.now() / 1000 + 1);
  const present: string[][] = [];
  for (const [time] of ups.values!.slice(0, SCRAPES)) {
    const result = await query(base, `{job=~"${jobsOf(job)}"}`, time + 0.001);
    present.push(result.map(labelsText).sort());
  }
  return present;
}

const explains = (list: readonly Explained[], job: string, series: string): boolean =>
  list.some((one) => one.job.test(job) && one.series.test(series));

// What is refused by one of them has nothing to compare.
const jobs = [
  ...['node', 'redis_exporter', 'pushgateway', 'prometheus_itself'],
  ...Object.keys(ODDITIES).filter((name) => !(name in EXPLAINED_REFUSALS)),
  ...['node', 'redis_exporter', 'pushgateway', 'prometheus'].map((name) => `${name}_protobuf`),
];

it.each(Object.entries(EXPLAINED_REFUSALS))('%s is refused by one: %s', async (job) => {
  if (left.length > 0) return;
  const up = async (base: string) => (await query(base, `up{job="${job}"}`))[0].value![1];
  expect(await up(urls.leaf)).not.toBe(await up(urls.prometheus));
});

describe.skipIf(left.length > 0)('a leaf stores what Prometheus stores', () => {
  it.each(jobs)('%s: series, values, own times', async (job) => {
    const theirs = await samplesOf(urls.prometheus, job);
    const ours = await samplesOf(urls.leaf, job);
    expect([...ours.byScrape.keys()].sort()).toEqual([...theirs.byScrape.keys()].sort());
    const extra = [...theirs.byScrape.keys()].filter((name) => name.startsWith('scrape_body_size'));
    expect(extra.length).toBeGreaterThan(0);
    for (const [series, values] of theirs.byScrape) {
      if (explains(EXPLAINED_VALUES, job, series)) continue;
      expect(`${series} ${ours.byScrape.get(series)}`).toBe(`${series} ${values}`);
    }
    expect(commonOwnTimes(ours, theirs)).toEqual(commonOwnTimes(theirs, ours));
  });

  it.each(jobs)('%s: staleness', async (job) => {
    const unexplained = (present: string[][]) =>
      present.map((series) => series.filter((one) => !explains(EXPLAINED_STALENESS, job, one)));
    const ours = await presentAfterEach(urls.leaf, job);
    const theirs = await presentAfterEach(urls.prometheus, job);
    expect(unexplained(ours)).toEqual(unexplained(theirs));
  });
});
