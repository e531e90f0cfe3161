import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import type { JobReport, JournalReport, LedgerReport, Verdict } from '@canopy/model';
import { expect, it } from 'vitest';
import { runLedger } from './ledger.js';

const job = (name: string, missing: number, verdict: Verdict): JobReport => ({
  ...{ job: name, scraped: 12, journalled: 10, refused: { sample_limit: 2 }, missed: 1 },
  ...{ samples: 90, pulled: 40, before: 28, stored: 12 - missing, missing, verdict },
});

const report = (...jobs: JobReport[]): LedgerReport => {
  const collision = { series: 'm{}', count: 3, scrapeUrls: ['http://a', 'http://b'], from: 0 };
  const journal = { path: ['leaf', 'top'], jobs, gapsByCause: { trimmed: 2 } };
  const journals = [{ ...journal, collisions: [collision] } as unknown as JournalReport];
  return { name: 'top', role: 'parent', lossy: [], journals };
};

async function run(data: LedgerReport | undefined) {
  const server = createServer((req, res) => {
    res.statusCode = req.url === '/api/v1/status/ledger?gaps=0' && data !== undefined ? 200 : 404;
    res.end(data === undefined ? 'not found\n' : JSON.stringify({ status: 'success', data }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const exitCode = await runLedger({ url, stdout, stderr });
  server.close();
  server.closeAllConnections();
  const read = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? '';
  return { exitCode, out: read(stdout), err: read(stderr) };
}

it('prints what became of scrapes, gaps and collisions', async () => {
  const { exitCode, out, err } = await run(report(job('node', 0, 'balanced'), job('x', 3, 'gaps')));
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  expect(out).toBe(
    [
      'SOURCE      JOB   SCRAPED  JOURNALLED  REFUSED  MISSED  PULLED  STORED  MISSING  STATE',
      'leaf → top  node       12          10        2       1      12      12        0  balanced',
      'leaf → top  x          12          10        2       1      12       9        3  gaps',
      '',
      'REFUSED  JOB   REASON        SCRAPES',
      'leaf     node  sample_limit        2',
      'leaf     x     sample_limit        2',
      '',
      'GAPS        CAUSE    NUMBER',
      'leaf → top  trimmed       2',
      '',
      'COLLISION  SERIES  SHOWN     HIDDEN    SINCE',
      'm{}             3  http://a  http://b  1970-01-01T00:00:00.000Z',
      '',
    ].join('\n'),
  );
});

it('ends with 1 where frames are missing that no gap names, and where nobody answers', async () => {
  expect((await run(report(job('node', 3, 'differs')))).exitCode).toBe(1);
  const { exitCode, err } = await run(undefined);
  expect(exitCode).toBe(1);
  expect(err).toContain('does not know /api/v1/status/ledger; is it a Canopy process?');
  expect((await run({ name: 'a', role: 'leaf', lossy: [], journals: [] })).out).toContain(
    'nothing yet',
  );
});

it('names sources that can lose samples', async () => {
  const lossy = [{ source: 'old', url: 'http://old:9090/federate' }];
  const { exitCode, out } = await run({ ...report(job('node', 0, 'balanced')), lossy });
  expect(exitCode).toBe(0);
  expect(out).toContain(
    'CAN LOSE SAMPLES  URL\nold               http://old:9090/federate\nwhat these had',
  );
});
