/** `admin/tsdb` of a parent beside that of a real Prometheus with the same samples. */
import { afterAll, expect, it } from 'vitest';
import { demoSeries } from '../conformance/demo-data.js';
import { load, startBoth } from '../conformance/two-servers.js';
import { Site, freePort, get, isWithout, query, waitReady } from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

it.skipIf(isWithout('prometheus'))('deletes series and takes snapshots', async () => {
  const servers = await startBoth(site);
  const [, canopy] = servers;
  const start = Math.floor(Date.now() / 60_000) * 60 - 1800;
  await load(servers, demoSeries(start, 300, 3));
  const post = (url: string, path: string): Promise<Response> =>
    fetch(`${url}/api/v1/admin/tsdb/${path}`, { method: 'POST' });
  const series = async (url: string): Promise<string[]> => {
    const { data } = JSON.parse(await get(`${url}/api/v1/series?match[]={job="demo"}`)) as {
      data: object[];
    };
    return data.map((labels) => JSON.stringify(Object.entries(labels).sort())).sort();
  };
  const samples = async (url: string): Promise<unknown> => {
    const found = await query(url, '{job="demo"}[40m7s]', start + 1803);
    const text = found.map(({ metric, values }) => [
      JSON.stringify(Object.entries(metric).sort()),
      values,
    ]);
    return text.sort();
  };
  const whole = await samples(canopy.url);
  const name = ((await (await post(canopy.url, 'snapshot')).json()) as { data: { name: string } })
    .data.name;
  expect(name).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{16}$/);
  // No time falls on a sample.
  const deletions = [
    `match[]=demo_memory_usage_bytes{type="free"}&start=${start + 302}&end=${start + 903}`,
    'match[]=demo_num_cpus&match[]={__name__=~"demo_disk.*",instance!~".*:10000"}',
    `match[]={type="cached"}&end=${start + 602}`,
  ];
  for (const { url } of servers) {
    for (const deletion of deletions) {
      expect((await post(url, `delete_series?${deletion}`)).status).toBe(204);
    }
  }
  const [wanted, found] = await Promise.all(servers.map(({ url }) => samples(url)));
  expect(found).toEqual(wanted);
  expect(found).not.toEqual(whole);
  // Prometheus lists what is gone until it compacts; here it is gone at once.
  expect(await series(canopy.url)).toEqual((found as string[][]).map(([labels]) => labels));
  expect(await get(`${canopy.url}/federate?match[]=demo_num_cpus`)).toBe('');
  expect((await post(canopy.url, 'clean_tombstones')).status).toBe(500);

  // Another process on a copy from before, and the same one after a kill -9.
  await canopy.program.kill('SIGKILL');
  const again = async (folder: string): Promise<string> => {
    const port = await freePort();
    site.canopy(
      folder.split('/').at(-1)!,
      ...['parent', '--storage.path', folder, '--retention.raw', '0'],
      ...['--web.listen-address', `127.0.0.1:${port}`],
    );
    await waitReady(`http://127.0.0.1:${port}`, 30_000);
    return `http://127.0.0.1:${port}`;
  };
  expect(await samples(await again(site.path(`canopy/snapshots/${name}`)))).toEqual(whole);
  expect(await samples(await again(site.path('canopy')))).toEqual(wanted);
});
