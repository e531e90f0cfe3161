import { SlotForm } from '@canopy/encoding';
import { type Rng, anyValue, makeRng } from '@canopy/encoding/testing';
import { SampleState } from '@canopy/model';
import { expect, it } from 'vitest';
import { Pack } from './pack.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300);
const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 1);

/** A slot's habit: how far one value is from the one before. */
function next(rng: Rng, habit: number, value: number): number {
  if (habit === 0) return value;
  if (habit === 1) return value + rng.below(5);
  if (habit === 2) return value + rng.below(1000) - 500;
  if (habit === 3) return value + Math.floor((rng() - 0.5) * 2 ** 33);
  return rng() < 0.5 ? value : anyValue(rng);
}

it('rows come back from packs, alone and in blocks', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    const stride = 1 + rng.below(150);
    const runs = Array.from({ length: 1 + rng.below(4) }, () => 1 + rng.below(20));
    const total = runs.reduce((a, b) => a + b, 0);
    const habits = Array.from({ length: stride }, () => rng.pick([0, 0, 1, 2, 3, 4]));
    const holes = rng.pick([0, 0, 0.1]);
    const all = new Float64Array(total * stride);
    const states = new Uint8Array(total * stride).fill(SampleState.value);
    for (let slot = 0; slot < stride; slot++) {
      let value = anyValue(rng);
      for (let row = 0; row < total; row++, value = next(rng, habits[slot], value)) {
        const isHole = rng() < holes;
        all[row * stride + slot] = isHole ? 0 : value;
        if (isHole) states[row * stride + slot] = rng.pick([SampleState.none, SampleState.stale]);
      }
    }
    const firsts = all.slice(0, stride);
    // A slot with a hole may be touched or not: its value has changed to 0.
    const touched = Uint8Array.from(habits, (habit) =>
      habit === 0 && holes === 0 ? rng.below(2) : 1,
    );
    const block = {
      values: new Float64Array(total * stride).fill(99),
      states: new Uint8Array(total * stride).fill(99),
      forms: new Uint8Array(stride).fill(99),
    };
    const column = { values: new Float64Array(total), states: new Uint8Array(total) };
    let from = 0;
    for (const count of runs) {
      const cut = [from * stride, (from + count) * stride] as const;
      const times = Float64Array.from({ length: count }, (_, i) => 1000 * (from + i));
      const view = { count, stride, times, values: all.slice(...cut) };
      const pack = new Pack(
        { ...view, states: holes === 0 ? null : states.slice(...cut) },
        firsts,
        touched,
      );
      expect(pack.times).toEqual(times);
      for (let slot = 0; slot < stride; slot++) {
        column.states.fill(SampleState.value);
        pack.read(slot, count, column.values, column.states, 0);
        for (let i = 0; i < count; i++) {
          const at = (from + i) * stride + slot;
          if (!Object.is(column.values[i], all[at]) || column.states[i] !== states[at]) {
            expect.fail(`seed ${seed}: ${column.values[i]} instead of ${all[at]}`);
          }
        }
      }
      pack.fill(block, 0, stride, total, from);
      from += count;
    }
    for (let slot = 0; slot < stride; slot++) {
      const isConstant = block.forms[slot] === SlotForm.constant;
      for (let i = 0; i < total; i++) {
        const at = i * stride + slot;
        const value = block.values[slot * total + (isConstant ? 0 : i)];
        const state = block.forms[slot] === SlotForm.states ? block.states[slot * total + i] : 1;
        if (!Object.is(value, all[at]) || state !== states[at]) {
          expect.fail(`seed ${seed}: block has ${value} instead of ${all[at]}`);
        }
      }
    }
  }
});
