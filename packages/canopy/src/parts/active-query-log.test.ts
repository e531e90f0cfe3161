import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@canopy/model/testing';
import { afterAll, expect, it } from 'vitest';
import { ActiveQueryLog } from './active-query-log.js';

const folder = mkdtempSync(join(tmpdir(), 'canopy-queries-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function opened(name: string) {
  const told: unknown[] = [];
  const clock = new VirtualClock(1_700_000_000_000);
  const log = ActiveQueryLog.open(join(folder, name), 2, clock, (_level, _text, fields) =>
    told.push(fields),
  );
  return { log, told };
}

it('tells at the next start what was being worked out', () => {
  const first = opened('queries.active').log!;
  const ended = first.begin('up');
  first.begin('sum(rate(x[5m]))');
  first.end(ended);
  first.begin('"ä\n'.repeat(2000)); // longer than its line
  first.begin('more than may run');
  const size = statSync(join(folder, 'queries.active')).size;
  expect(size).toBe(2000);
  // The process dies here.
  const second = opened('queries.active');
  expect(second.told).toEqual([
    {
      queries: [
        { query: 'sum(rate(x[5m]))', timestamp_sec: 1_700_000_000 },
        { query: expect.stringMatching(/^("ä\n)+"?ä?$/), timestamp_sec: 1_700_000_000 },
      ],
    },
  ]);
  second.log!.begin('up');
  second.log!.close();
  expect(opened('queries.active').told).toEqual([]);
});

it('goes on without a file that is not its own or cannot be written', () => {
  writeFileSync(
    join(folder, 'foreign'),
    Buffer.from('{"query":1}\n\xff\xfe{{{\n[1]\nnull', 'latin1'),
  );
  const foreign = opened('foreign');
  expect(foreign.told).toEqual([]);
  foreign.log!.end(foreign.log!.begin('up'));
  expect(readFileSync(join(folder, 'foreign'), 'utf8').trim()).toBe('');
  const { log, told } = opened('foreign/below-a-file');
  expect(log).toBeUndefined();
  expect(told).toMatchObject([{ file: join(folder, 'foreign/below-a-file') }]);
});
