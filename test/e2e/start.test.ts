/** `npm start` as a user types it, on other ports and in another folder. */
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { Site, eventually, freePort, get, query } from '../processes.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

function npmStart(ports: readonly number[]) {
  const [parent, east, west] = ports;
  return site.program(
    'npm start',
    'npm',
    ...['--prefix', root, 'start', '--', '--web.listen-address', `127.0.0.1:${parent}`],
    ...['--east.listen-address', `127.0.0.1:${east}`, '--west.listen-address', `127.0.0.1:${west}`],
    ...['--storage.path', site.path('data'), '--scrape.interval', '1s'],
  );
}

it('runs a hierarchy, stops within 3 s, and goes on with its data', async () => {
  const ports = [await freePort(), await freePort(), await freePort()];
  const base = `http://127.0.0.1:${ports[0]}`;
  const countUp = () =>
    eventually(30_000, 'count(up == 1)', async () => {
      const [result] = await query(base, 'count(up == 1)');
      expect(Number(result?.value?.[1])).toBeGreaterThanOrEqual(5);
    });
  const first = npmStart(ports);
  await countUp();
  expect(await get(`${base}/`)).toMatch(/<html/i);
  await eventually(10_000, 'the status line', async () => {
    expect(first.output).toMatch(/leaves 2\/2 up/);
  });
  const before = Date.now() / 1000;
  const stopped = performance.now();
  await first.interrupt();
  expect(performance.now() - stopped).toBeLessThan(3000);
  expect(first.output).toMatch(/Open .*http/);
  const second = npmStart(ports);
  await countUp();
  await eventually(20_000, 'data from before', async () => {
    const result = await query(base, 'count_over_time(up{cluster="east"}[10m] @ ' + before + ')');
    expect(result.length).toBeGreaterThanOrEqual(3);
  });
  // npm alone is told to end, as a supervisor does: nobody is left behind.
  await second.kill('SIGTERM');
  await eventually(10_000, 'all three gone', async () => {
    for (const port of ports) {
      const answer = await fetch(`http://127.0.0.1:${port}/-/healthy`).catch(() => undefined);
      expect(answer).toBeUndefined();
    }
  });
});

it('names a taken port and the flag for another one', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => taken.once('listening', done));
  const port = (taken.address() as { port: number }).port;
  const program = npmStart([await freePort(), port, await freePort()]);
  expect(await program.ended()).not.toBe(0);
  expect(program.output).toContain(`port ${port} is in use`);
  expect(program.output).toContain('--east.listen-address');
  taken.close();
});
