/**
 * A leaf with 5,000 targets of which 500 are hung: all others are scraped at each of their ticks, once, and the hung
 * ones are `up` 0 at each of theirs. Nothing here measures how long something took: what is compared is
 * which tick each scrape belongs to.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type ApiSeries,
  Site,
  eventually,
  freePort,
  query,
  sleep,
  waitReady,
} from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

const INTERVAL = 8000;
const TARGETS = { ok: 4500, silent: 170, drip: 170, head: 160 };
/** Intervals that are looked at: so many ticks of a target, or one less where one is at the edge. */
const TICKS = 4;
/** What an answer may take: the machine may have much else to do. Milliseconds. */
const PATIENCE = 60_000;

const FARM = fileURLToPath(new URL('farm-of-thousands.mjs', import.meta.url));

/** Every target has an address of its own, so that each keeps its own connection, as exporters have it. */
function configuration(port: number): string {
  let targets = 0;
  const jobs = Object.entries(TARGETS).map(([kind, count]) => {
    const paths = Array.from({ length: count }, (_, i) => {
      const address = `127.1.${targets >> 8}.${targets++ & 255}:${port}`;
      return `{ targets: ["${address}"], labels: { __metrics_path__: /${kind}/${i}, n: "${i}" } }`;
    });
    return `  - job_name: ${kind}\n    static_configs:\n${paths.map((path) => `      - ${path}\n`).join('')}`;
  });
  return `global: { scrape_interval: ${INTERVAL}ms, scrape_timeout: ${INTERVAL}ms }\nscrape_configs:\n${jobs.join('')}`;
}

const timesOf = (series: ApiSeries): number[] =>
  (series.values ?? []).map(([time]) => Math.round(time * 1000));

/** Place of a target's ticks in the interval: where most of its scrapes are to the millisecond. */
function offsetOf(times: readonly number[]): { offset: number; onGrid: number } {
  const counts = new Map<number, number>();
  for (const time of times) counts.set(time % INTERVAL, (counts.get(time % INTERVAL) ?? 0) + 1);
  const [offset, onGrid] = [...counts].sort((a, b) => b[1] - a[1])[0];
  return { offset, onGrid };
}

describe('500 hung targets among 5,000', () => {
  it('delay nobody, and are down at each of their ticks', async () => {
    const [farmPort, port] = [await freePort(), await freePort()];
    const base = `http://127.0.0.1:${port}`;
    const count = Object.values(TARGETS).reduce((sum, each) => sum + each, 0);
    site.program('farm', process.execPath, FARM, String(farmPort), String(count));
    const config = site.file('farm.yml', configuration(farmPort));
    const leaf = site.canopy(
      'leaf',
      ...['leaf', '--config.file', config, '--storage.path', site.path('leaf')],
      ...['--web.listen-address', `127.0.0.1:${port}`],
    );
    await waitReady(base);
    // What is looked at begins when all are known, and ends before scrapes that are still under way.
    await eventually(PATIENCE, 'every target scraped', async () => {
      const [known] = await query(base, 'count(up)', undefined, PATIENCE);
      if (known?.value?.[1] !== String(count)) throw new Error(`${known?.value?.[1]} of ${count}`);
    });
    await sleep((TICKS + 1.5) * INTERVAL);
    const rssKiB = Number(
      /^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${leaf.pid}/status`, 'utf8'))?.[1],
    );
    const end = Math.floor(Date.now() / 1000) - 1.5 * (INTERVAL / 1000);
    const range = `[${(TICKS * INTERVAL) / 1000}s]`;
    const up = await query(base, `up${range}`, end, PATIENCE);
    const numbers = await query(base, `scrape_number${range}`, end, PATIENCE);

    const faults: string[] = [];
    let onGrid = 0;
    let scrapes = 0;
    for (const series of up) {
      const times = timesOf(series);
      const name = `${series.metric.job} ${series.metric.n}`;
      const grid = offsetOf(times);
      onGrid += grid.onGrid;
      scrapes += times.length;
      const late = times.map((time) => {
        const after = (((time - grid.offset) % INTERVAL) + INTERVAL) % INTERVAL;
        return after > INTERVAL / 2 ? after - INTERVAL : after;
      });
      const ticks = times.map((time, i) => (time - late[i] - grid.offset) / INTERVAL);
      const follow = ticks.every((tick, i) => i === 0 || tick === ticks[i - 1] + 1);
      const expected = series.metric.job === 'ok' ? '1' : '0';
      const isRight = series.values!.every(([, value]) => value === expected);
      if (!follow || !isRight || times.length < TICKS - 1) {
        faults.push(`${name}: ${JSON.stringify(series.values)}`);
      }
    }
    for (const series of numbers) {
      const values = series.values!.map(([, value]) => Number(value));
      if (!values.every((value, i) => i === 0 || value === values[i - 1] + 1)) {
        faults.push(`scrape_number ${series.metric.n}: ${values.join(' ')}`);
      }
    }
    console.log(
      `${up.length} targets, ${scrapes} scrapes, ${((100 * onGrid) / scrapes).toFixed(1)} % to the millisecond, ` +
        `${faults.length} faults, ${(rssKiB / 1024).toFixed(0)} MiB`,
    );
    expect(faults.slice(0, 20)).toEqual([]);
    expect(up.length).toBe(count);
    expect(numbers.length).toBe(TARGETS.ok);
    // About 0.13 MB a target with its connection: a bound that tells a leak, not a budget. Mapped files apart.
    expect(rssKiB / 1024).toBeLessThan(1000);
  });
});
