/** A real VictoriaMetrics that is pulled: its samples keep their times, its series end with them, and the ledger says that this source can lose some. */
import type { LedgerReport } from '@canopy/model';
import { afterAll, expect, it } from 'vitest';
import { rawSamples } from '../hierarchy.js';
import { Site, eventually, freePort, get, isWithout, query, waitReady } from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

it.skipIf(isWithout('victoria-metrics'))(
  'pulls a real VictoriaMetrics',
  async () => {
    let scrapes = 0;
    let hasSmall = true;
    const exporter = await site.serve((_req, res) => {
      res.setHeader('content-type', 'text/plain');
      const small = hasSmall ? 'small -2.5\n' : '';
      res.end(`# TYPE seen_total counter\nseen_total{a="ü"} ${++scrapes}\n${small}`);
    });
    const [victoria, parent] = [await freePort(), await freePort()];
    const scraped = `global: {scrape_interval: 1s}\nscrape_configs: [{job_name: x, static_configs: [{targets: ["127.0.0.1:${exporter}"]}]}]`;
    site.program(
      ...['VictoriaMetrics', 'victoria-metrics', '-loggerLevel=WARN'],
      ...['-storageDataPath', site.path('victoria'), '-search.latencyOffset=0s'],
      ...['-promscrape.config', site.file('scrape.yml', scraped)],
      ...['-httpListenAddr', `127.0.0.1:${victoria}`],
    );
    const pulls = `global: {scrape_interval: 1s}
scrape_configs:
  - job_name: victoria
    metrics_path: /federate
    honor_labels: true
    params: {"match[]": ['{job="x"}']}
    static_configs: [{targets: ["127.0.0.1:${victoria}"]}]`;
    site.canopy(
      ...['parent', 'parent', '--config.file', site.file('parent.yml', pulls)],
      ...['--storage.path', site.path('parent'), '--web.listen-address', `127.0.0.1:${parent}`],
    );
    const [above, below] = [parent, victoria].map((port) => `http://127.0.0.1:${port}`);
    await waitReady(above);
    await eventually(60_000, 'ten samples at the parent', async () => {
      const [found] = await query(above, 'count_over_time(seen_total[1m])');
      expect(Number(found?.value?.[1])).toBeGreaterThanOrEqual(10);
    });
    const time = Math.floor(Date.now() / 1000) - 1;
    for (const selector of ['seen_total', 'small', 'up{job="x"}']) {
      const pulled = await rawSamples(above, selector, time);
      const own = await rawSamples(below, selector, time);
      expect(pulled.size, selector).toBe(1);
      for (const [labels, values] of pulled) {
        const there = new Set((JSON.parse(own.get(labels)!) as unknown[]).map((v) => `${v}`));
        for (const sample of JSON.parse(values) as unknown[]) expect(there).toContain(`${sample}`);
      }
    }
    // What is not in an answer any more has ended: nobody waits for the lookback.
    hasSmall = false;
    await eventually(60_000, 'a series ends', async () => {
      expect(await query(above, 'small')).toEqual([]);
    });
    expect(await query(above, 'seen_total')).toHaveLength(1);
    const { data } = JSON.parse(await get(`${above}/api/v1/status/ledger`)) as {
      data: LedgerReport;
    };
    expect(data.lossy.map(({ url }) => url)).toEqual([
      `${below}/federate?match%5B%5D=%7Bjob%3D%22x%22%7D`,
    ]);
  },
  120_000,
);
