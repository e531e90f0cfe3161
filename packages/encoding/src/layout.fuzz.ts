import { FormatError, type LayoutRecord, asDuration, labelsOf } from '@canopy/model';
import { expect, it } from 'vitest';
import { decodeGap } from './gap.js';
import { decodeLayout, encodeLayout } from './layout.js';
import { type Rng, makeRng } from './testing/index.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300);
const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 1);
const NAMES = ['__name__', 'a', 'job', 'le', 'ä', '𝒳', '\ue000', 'zone'];
const TYPES = ['counter', 'gauge', 'histogram', 'stateset'] as const;

function text(rng: Rng): string {
  const stem = rng.pick(['', 'node_', 'x'.repeat(150), 'é', '𝒳']);
  return `${stem}${rng.below(rng.pick([2, 50, 100_000]))}`;
}

function labels(rng: Rng): readonly string[] {
  const pairs: Array<[string, string]> = [];
  for (let i = rng.below(5); i > 0; i--) pairs.push([rng.pick(NAMES), text(rng)]);
  return labelsOf([['shared', 'yes'], ...pairs]);
}

function randomLayout(rng: Rng): LayoutRecord {
  const firstSlot = rng.below(rng.pick([1, 1000]));
  const firstFamily = rng.below(20);
  const families = Array.from({ length: rng.below(4) }, () => ({
    name: text(rng),
    type: rng.pick(TYPES),
    help: text(rng),
    unit: rng.pick(['', 'seconds']),
  }));
  const count = rng.below(30);
  const slots = Array.from({ length: count }, () => ({
    labels: labels(rng),
    family: rng.below(firstFamily + families.length + 1) - 1,
  }));
  let next = firstSlot;
  const slotNumbers = rng() < 0.3 ? slots.map(() => (next += 1 + rng.below(300))) : null;
  const slotCount = slotNumbers === null ? firstSlot + count : next + 1 + rng.below(5);
  const meta = {
    kind: rng.pick(['aligned', 'loose'] as const),
    target: labels(rng),
    scrapeUrl: text(rng),
    interval: asDuration(rng.below(1e6)),
    continues: rng.below(2 ** 32),
  };
  const group = rng.below(2 ** 32);
  const version = 1 + rng.below(100);
  return { group, version, meta, firstSlot, firstFamily, slots, slotNumbers, families, slotCount };
}

it('decode ∘ encode is the identity', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const layout = randomLayout(makeRng(seed));
    expect(decodeLayout(encodeLayout(layout)), `seed ${seed}`).toEqual(layout);
  }
});

it('any bytes give a layout or a FormatError', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    let bytes = encodeLayout(randomLayout(rng));
    for (let i = 1 + rng.below(3); i > 0; i--) bytes[rng.below(bytes.length)] = rng.below(256);
    if (rng() < 0.3) bytes = bytes.subarray(0, rng.below(bytes.length));
    for (const decode of [decodeLayout, decodeGap]) {
      try {
        decode(bytes);
      } catch (error) {
        expect(error, `seed ${seed}`).toBeInstanceOf(FormatError);
      }
    }
  }
});
