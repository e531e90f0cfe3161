/** Remote write from a real Prometheus, and of samples as old as they get. */
import { afterAll, expect, it } from 'vitest';
import { compressSync } from 'snappy';
import { WriteRequest1 } from '../../packages/federation/src/testing/write-messages.js';
import {
  Site,
  eventually,
  freePort,
  get,
  isWithout,
  query,
  sleep,
  waitReady,
} from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

const now = (): number => Date.now() / 1000;

async function startParent(name: string, config: string, port: number, ...flags: string[]) {
  const program = site.canopy(
    name,
    ...['parent', '--config.file', site.file(`${name}.yml`, config)],
    ...['--web.listen-address', `127.0.0.1:${port}`, '--storage.path', site.path(name)],
    ...['--web.enable-remote-write-receiver', ...flags],
  );
  await waitReady(`http://127.0.0.1:${port}`, 30_000);
  return program;
}

/** Series → its samples, `time value`. */
async function samples(base: string, selector: string, at: number): Promise<Map<string, string[]>> {
  const url = `${base}/api/v1/query?query=${encodeURIComponent(selector)}&time=${at}`;
  const answer = JSON.parse(await get(url)) as {
    data: { result: Array<{ metric: Record<string, string>; values: Array<[number, string]> }> };
  };
  return new Map(
    answer.data.result.map(({ metric, values }) => [
      JSON.stringify(Object.entries(metric).sort()),
      values.map(([time, value]) => `${time} ${value}`),
    ]),
  );
}

it.skipIf(isWithout('prometheus'))(
  'a Prometheus pushes to a parent that is killed meanwhile: each sample is there once',
  async () => {
    const [port, rival] = [await freePort(), await freePort()];
    const [parentUrl, prometheusUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${rival}`];
    let parent = await startParent('parent', '', port);
    site.program(
      'prometheus',
      'prometheus',
      `--config.file=${site.file(
        'prometheus.yml',
        `global: {scrape_interval: 1s, external_labels: {cluster: far}}
scrape_configs: [{job_name: self, static_configs: [{targets: ['127.0.0.1:${rival}']}]}]
remote_write:
  - url: ${parentUrl}/api/v1/write
    queue_config: {batch_send_deadline: 500ms, min_backoff: 30ms, max_backoff: 500ms}
    metadata_config: {send_interval: 1s}
`,
      )}`,
      ...[`--storage.tsdb.path=${site.path('tsdb')}`, `--web.listen-address=127.0.0.1:${rival}`],
    );
    await waitReady(prometheusUrl, 30_000);
    await eventually(30_000, 'samples at the parent', async () => {
      const [count] = await query(parentUrl, 'count({cluster="far"})');
      expect(Number(count?.value?.[1])).toBeGreaterThan(300);
    });
    await parent.kill('SIGKILL');
    await sleep(2000);
    parent = await startParent('parent', '', port);
    await sleep(2000);
    const end = Math.floor(now());
    await eventually(30_000, 'everything up to the end', async () => {
      const got = await samples(parentUrl, 'up{job="self"}[2m]', end + 30);
      expect(Number([...got.values()][0]?.at(-1)?.split(' ')[0])).toBeGreaterThan(end);
    });
    const sent = await samples(prometheusUrl, '{job="self"}[2m]', end);
    const got = await samples(parentUrl, '{job="self",cluster="far"}[2m]', end);
    const expected = new Map(
      [...sent].map(([key, values]) => {
        const labels = JSON.parse(key) as Array<[string, string]>;
        return [JSON.stringify([...labels, ['cluster', 'far']].sort()), values];
      }),
    );
    expect(expected.size).toBeGreaterThan(300);
    expect(got).toEqual(expected);
    // Prometheus sends descriptions apart from the series.
    const metric = 'prometheus_http_requests_total';
    await eventually(30_000, 'descriptions', async () => {
      const url = `${parentUrl}/api/v1/metadata?metric=${metric}`;
      expect(await get(url)).toMatch(/"type":"counter"/);
      expect(await get(`${parentUrl}/federate?match[]=${metric}`)).toMatch(/^# TYPE .* counter$/m);
    });
    const hierarchy = await get(`${parentUrl}/api/v1/status/hierarchy`);
    expect(JSON.parse(hierarchy)).toMatchObject({ data: { journal: { ledger: { gaps: [] } } } });
  },
);

it('samples from 1970 on are kept where the configuration and the retention say so', async () => {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const config = 'storage: {tsdb: {out_of_order_time_window: 100y}}\n';
  const start = () => startParent('old', config, port, '--retention.raw', '0');
  let parent = await start();
  const send = async (name: string, times: readonly number[]): Promise<number> => {
    const message = WriteRequest1.fromObject({
      timeseries: [
        {
          labels: [{ name: '__name__', value: name }],
          samples: times.map((time) => ({ timestamp: time * 1000, value: time })),
        },
      ],
    });
    const response = await fetch(`${base}/api/v1/write`, {
      method: 'POST',
      body: compressSync(
        Buffer.from(WriteRequest1.encode(message).finish()),
      ) as Buffer<ArrayBuffer>,
      headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    });
    return response.status;
  };
  const year = 365 * 86_400;
  const many = Array.from({ length: 3000 }, (_, i) => i * 15);
  const late = Array.from({ length: 3000 }, (_, i) => 10 * year + 45_000 - 15 * i);
  expect(await send('ordered', many)).toBe(204);
  expect(await send('late', late)).toBe(204);
  expect(await send('late', [Math.floor(now())])).toBe(204);
  expect(await send('late', [20 * year])).toBe(204);
  const check = async (): Promise<void> => {
    const one = async (text: string, at: number) => (await query(base, text, at))[0]?.value?.[1];
    expect(await one('count_over_time(ordered[13h])', 45_000)).toBe('3000');
    expect(await one('ordered', 0)).toBe('0');
    expect(await one('sum_over_time(late[13h])', 10 * year + 45_000)).toBe(
      String(late.reduce((a, b) => a + b)),
    );
    expect(await one('late', 20 * year + 60)).toBe(String(20 * year));
  };
  await check();
  await parent.kill('SIGKILL');
  parent = await start();
  await check();
});
