import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FailureLog } from './failure-log.js';

test('lines wait for the disk in order, up to a limit', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'canopy-failures-'));
  const said: string[] = [];
  const log = new FailureLog((_level, message) => said.push(message));
  const [a, b] = [join(folder, 'a'), join(folder, 'b')];
  for (let i = 0; i < 1500; i++) log.write(a, { msg: `${i}` });
  log.write(b, { msg: 'with "quotes"\nand lines' });
  await log.flush();
  const lines = readFileSync(a, 'utf8').trimEnd().split('\n');
  expect(lines.length + log.dropped).toBe(1500);
  expect(log.dropped).toBe(499);
  expect(lines[1000]).toBe('{"msg":"1000"}');
  expect(readFileSync(b, 'utf8').split('\n').length).toBe(2);
  // Moved away between two writes: a new file is begun.
  rmSync(a);
  log.write(a, { msg: 'again' });
  await log.flush();
  expect(readFileSync(a, 'utf8')).toBe('{"msg":"again"}\n');
  expect(said).toEqual([]);
  rmSync(folder, { recursive: true });
});
