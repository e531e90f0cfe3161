/** A query that the process did not survive is told at its next start. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { Site, freePort, waitReady } from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

const LONG = 'sum_over_time(vector(1)[9000000s:1s])';

it('tells after a kill -9 which query was being worked out', async () => {
  const port = await freePort();
  const start = (name: string) =>
    site.canopy(
      name,
      ...['parent', '--storage.path', site.path('parent')],
      ...['--web.listen-address', `127.0.0.1:${port}`],
    );
  const url = `http://127.0.0.1:${port}`;
  const first = start('first');
  await waitReady(url, 30_000);
  const query = async (text: string): Promise<Response> =>
    fetch(`${url}/api/v1/query?${new URLSearchParams({ query: text })}`);
  expect((await query('1 + 1')).status).toBe(200);
  const asked = query(LONG).catch(() => undefined);
  const noted = (): string => readFileSync(`${site.path('parent')}/queries.active`, 'utf8');
  await expect.poll(noted, { timeout: 20_000 }).toContain(LONG);
  await first.kill('SIGKILL');
  await asked;
  const second = start('second');
  await waitReady(url, 30_000);
  expect(second.output).toContain('these queries did not finish');
  expect(second.output).toContain(LONG);
  expect(second.output).not.toContain('1 + 1');
});
