/** Made-up series that behave as exporters' do, for fuzz tests and benches. */
import { SampleState } from '@canopy/model';
import type { Rng } from './random.js';

const SPECIAL = [
  0,
  -0,
  1,
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  2.2250738585072014e-308,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  2 ** 53,
  -(2 ** 53),
  2 ** 63,
  0.1,
  1e-9,
  1e22,
];

/** Any double at all: special ones, integers, decimals, random bits. */
export function anyValue(rng: Rng): number {
  switch (rng.below(7)) {
    case 0:
      return rng.pick(SPECIAL);
    case 1:
      return rng.below(1000);
    case 2:
      return Math.floor((rng() - 0.5) * 2 ** rng.below(54));
    case 3:
      return Math.round((rng() - 0.5) * 1e6) / rng.pick([10, 100, 1000, 1e6, 1e9]);
    case 4:
      return (rng() - 0.5) * 10 ** rng.below(10);
    case 5: // near to a decimal
      return rng.below(1e6) * rng.pick([0.001, -0.001, 1e-6, 1e-9]) + rng.pick([0, 0.1, 1e-9]);
    default: {
      const bits = new Uint32Array([rng() * 2 ** 32, rng() * 2 ** 32]);
      return new Float64Array(bits.buffer)[0];
    }
  }
}

/** How a made-up series moves on. */
export type Habit = (value: number, rng: Rng) => number;

/** Habits as found among real exporters, each with its share. */
const HABITS: ReadonlyArray<readonly [share: number, start: (rng: Rng) => number, habit: Habit]> = [
  [0.5, (rng) => rng.below(1e6), (value, rng) => value + rng.below(2000)], // counter
  [0.15, (rng) => rng.below(1e10), (value, rng) => value + rng.below(2 ** 20) * 4096], // bytes
  [0.15, (rng) => rng.below(1e6) / 100, (value, rng) => round(value + rng() * 5, 100)], // seconds
  [0.1, (rng) => rng.below(500), (_, rng) => rng.below(500)], // gauge
  [0.05, (rng) => rng(), (value, rng) => value + rng() / 100], // sum of durations
  [0.05, (rng) => rng(), (_, rng) => round(rng(), 1e6)], // ratio
];

function round(value: number, scale: number): number {
  return Math.round(value * scale) / scale;
}

/** A group whose slots change with a chance of `changing` a frame each. */
export class SampleGroup {
  readonly states: Uint8Array;
  readonly values: Float64Array;
  readonly #habits: Habit[] = [];
  readonly #active: Uint8Array;
  readonly #rng: Rng;

  /** `changing`: share of the slots that change from frame to frame. */
  constructor(rng: Rng, slotCount: number, changing: number) {
    this.#rng = rng;
    this.states = new Uint8Array(slotCount).fill(SampleState.value);
    this.values = new Float64Array(slotCount);
    this.#active = new Uint8Array(slotCount);
    for (let slot = 0; slot < slotCount; slot++) {
      let share = rng();
      const found = HABITS.find((habit) => (share -= habit[0]) < 0) ?? HABITS[0];
      this.values[slot] = rng() < 0.4 ? 0 : found[1](rng);
      this.#habits.push(found[2]);
      // Busy series are busy again: most changes come from the same slots.
      this.#active[slot] = rng() < changing * 1.1 ? 1 : 0;
    }
  }

  /** Goes on by one frame. */
  advance(): void {
    for (let slot = 0; slot < this.values.length; slot++) {
      const chance = this.#active[slot] === 1 ? 0.9 : 0.002;
      if (this.#rng() < chance) {
        this.values[slot] = this.#habits[slot](this.values[slot], this.#rng);
      }
    }
  }
}
