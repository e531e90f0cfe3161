import { expect, it } from 'vitest';
import { Postings, intersect, joinDisjoint, subtract, union } from './postings.js';

const refs = (...list: number[]) => Uint32Array.from(list);
const every = (bound: number, step: number) =>
  Uint32Array.from({ length: Math.ceil(bound / step) }, (_, i) => i * step);

it('has the set operations right', () => {
  const check = (a: Uint32Array, b: Uint32Array) => {
    const [left, right] = [[...a], [...b]];
    expect([...intersect(a, b)]).toEqual(left.filter((ref) => right.includes(ref)));
    expect([...subtract(a, b)]).toEqual(left.filter((ref) => !right.includes(ref)));
    const both = [...new Set([...left, ...right])].sort((x, y) => x - y);
    // Few of many, and many of few.
    for (const bound of [1 << 20, 1000]) expect([...union([a, b], bound)]).toEqual(both);
    const rest = subtract(b, a);
    expect([...joinDisjoint([a, rest], 1000)]).toEqual(both); // dense
    expect([...joinDisjoint([a, rest], 100_000)]).toEqual(both); // sparse
  };
  check(refs(), refs());
  check(refs(1), refs());
  check(refs(1, 2, 3), refs(2, 3, 4));
  check(refs(5, 500, 999), every(1000, 1)); // far more in one than in the other
  check(refs(5, 500, 998), every(1000, 2));
  check(every(1000, 3), every(1000, 5));
});

it('takes refs in any order', () => {
  const postings = new Postings();
  for (const ref of [5, 9, 7, 1, 12, 3]) postings.add(ref);
  expect([...postings.view()]).toEqual([1, 3, 5, 7, 9, 12]);
  const dead = new Uint8Array(20);
  dead[1] = dead[9] = 1;
  postings.add(8);
  postings.removeDead(dead);
  expect([...postings.view()]).toEqual([3, 5, 7, 8, 12]);
  expect(postings.length).toBe(5);
});
