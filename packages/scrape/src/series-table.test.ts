import { type Labels, labelsFromObject } from '@canopy/model';
import { expect, test } from 'vitest';
import { POOL_MAX, SeriesTable, StringPool } from './series-table.js';

const labels = (n: number): Labels => labelsFromObject({ __name__: 'x', n: String(n) });

test('a label set has one number, before and after compaction', () => {
  const table = new SeriesTable();
  for (let n = 0; n < 1000; n++) expect(table.add(labels(n), undefined)).toBe(n);
  for (let n = 0; n < 1000; n++) expect(table.add(labels(n), undefined)).toBe(n);
  const keep = Uint8Array.from({ length: 1000 }, (_, n) => (n % 3 === 0 ? 1 : 0));
  const map = table.compact(keep);
  expect(table.count).toBe(334);
  for (let n = 0; n < 1000; n++) {
    expect(map[n]).toBe(n % 3 === 0 ? n / 3 : -1);
    if (n % 3 === 0) expect(table.labels(n / 3)).toEqual(labels(n));
  }
  for (let n = 0; n < 1000; n += 3) expect(table.add(labels(n), undefined)).toBe(n / 3);
  expect(table.add(labels(1), undefined)).toBe(334);
});

test('more strings than two bytes can number', () => {
  const table = new SeriesTable();
  const count = 70_000;
  for (let n = 0; n < count; n++) table.add(labels(n), undefined);
  for (const n of [0, 65_530, 65_531, 65_532, 65_533, 65_534, count - 1]) {
    expect(table.labels(n)).toEqual(labels(n));
    expect(table.add(labels(n), undefined)).toBe(n);
  }
  const map = table.compact(Uint8Array.from({ length: count }, (_, n) => (n < 2 ? 1 : 0)));
  expect([map[1], map[2]]).toEqual([1, -1]);
  expect(table.labels(1)).toEqual(labels(1));
});

test('sets that differ only in where a string ends are different', () => {
  const table = new SeriesTable();
  expect(table.add(['a', 'bc'], undefined)).toBe(0);
  expect(table.add(['ab', 'c'], undefined)).toBe(1);
  expect(table.add(['a', 'b', 'c', 'd'], undefined)).toBe(2);
});

test('the pool shares, and is bounded', () => {
  const pool = new StringPool();
  for (let n = 0; n < 3 * POOL_MAX; n++) pool.share(`s${n}`);
  expect(pool.size).toBeLessThanOrEqual(POOL_MAX);
  expect(pool.share('s1')).toBe('s1');
});
