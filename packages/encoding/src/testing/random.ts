/** A small seeded generator (splitmix32), so that a failing round can be run again. */
export interface Rng {
  /** Uniform in [0, 1). */
  (): number;
  /** Uniform integer in [0, below). */
  below(count: number): number;
  pick<T>(choices: readonly T[]): T;
}

export function makeRng(seed: number): Rng {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  return Object.assign(next, {
    below: (count: number) => Math.floor(next() * count),
    pick: <T>(choices: readonly T[]) => choices[Math.floor(next() * choices.length)],
  });
}
