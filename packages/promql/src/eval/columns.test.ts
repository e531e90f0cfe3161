import { expect, it } from 'vitest';
import { countPresent } from './columns.js';

it('counts what is present, wherever the bytes begin and end', () => {
  const bytes = Uint8Array.from({ length: 3000 }, (_, i) => (i % 7 < 5 ? 1 : 0));
  const ones = new Uint8Array(3000).fill(1);
  for (const from of [0, 1, 2, 3, 4, 5]) {
    for (const length of [0, 1, 2, 3, 4, 5, 7, 1019, 1020, 1021, 2990]) {
      const some = bytes.subarray(from, from + length);
      expect(countPresent(some)).toBe(some.reduce((sum, present) => sum + present, 0));
      expect(countPresent(ones.subarray(from, from + length))).toBe(length);
    }
  }
  // A view that ends where no word may begin any more.
  expect(countPresent(new Uint8Array(new ArrayBuffer(7), 7, 0))).toBe(0);
});
