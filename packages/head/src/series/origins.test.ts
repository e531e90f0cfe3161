import { expect, it } from 'vitest';
import { Origins } from './origins.js';

function columns(origins: Origins, ref: number): Array<[group: number, slot: number]> {
  const found: Array<[number, number]> = [];
  for (let at = origins.first(ref); at >= 0; at = origins.next(at)) {
    found.push([origins.group(at), origins.slot(at)]);
  }
  return found;
}

it('keeps the columns of each series, newest first, and gives memory back', () => {
  const origins = new Origins();
  for (let ref = 0; ref < 20_000; ref++) {
    for (let group = 0; group < 3; group++) origins.add(ref, group, ref + group);
  }
  const peak = origins.byteLength;
  expect(columns(origins, 7)).toEqual([
    [2, 9],
    [1, 8],
    [0, 7],
  ]);
  const [ones, zeros, last] = [new Set(), new Set(), new Set()];
  for (let ref = 0; ref < 20_000; ref++) {
    ones.add(origins.remove(ref, 1));
    if (ref % 100 === 0) continue;
    zeros.add(origins.remove(ref, 0));
    last.add(origins.remove(ref, 2));
  }
  // Whether the series has none left.
  expect([[...ones], [...zeros], [...last]]).toEqual([[false], [false], [true]]);
  origins.shrink(20_000);
  expect(origins.byteLength).toBeLessThan(peak / 5);
  const wrong: number[] = [];
  for (let ref = 0; ref < 20_000; ref++) {
    const kept = ref % 100 === 0 ? `2,${ref + 2},0,${ref}` : '';
    if (columns(origins, ref).join() !== kept) wrong.push(ref);
  }
  expect(wrong).toEqual([]);
  origins.add(300, 9, 1);
  origins.add(301, 9, 2);
  expect([columns(origins, 300).length, columns(origins, 301)]).toEqual([3, [[9, 2]]]);
});
