import { FormatError } from '@canopy/model';
import { expect, it } from 'vitest';
import { bitsOf, setNormalNan } from './bits.js';
import { FrameDecoder, FrameEncoder } from './frame.js';
import { anyValue, makeRng } from './testing/index.js';
import type { Rng } from './testing/index.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300);
const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 1);

it('decode ∘ encode is the identity of runs of frames', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    const encoder = new FrameEncoder();
    const decoder = new FrameDecoder();
    let slotCount = rng.below(70);
    const states = new Uint8Array(400);
    const values = new Float64Array(400);
    const changing = rng() ** 2;
    const wild = rng() < 0.3;
    for (let i = 0; i < 12; i++) {
      const key = i === 0 || rng() < 0.1;
      slotCount =
        key && rng() < 0.3 ? rng.below(70) : slotCount + (rng() < 0.3 ? rng.below(20) : 0);
      for (let slot = 0; slot < slotCount; slot++) {
        if (rng() >= changing && i > 0) {
          if (states[slot] === 2) states[slot] = 0;
          continue;
        }
        states[slot] = rng() < 0.8 ? 1 : rng.below(3);
        values[slot] = wild ? anyValue(rng) : values[slot] + rng.below(100);
      }
      const payload = encoder.encodeAligned(i, slotCount, states, values, key).slice();
      const frame = decoder.decodeAligned(payload, key);
      const expected = values.slice(0, slotCount);
      for (let slot = 0; slot < slotCount; slot++) {
        if (states[slot] !== 1) expected[slot] = 0;
        else if (Number.isNaN(expected[slot])) setNormalNan(bitsOf(expected), slot);
      }
      expect(frame.states, `seed ${seed}`).toEqual(states.slice(0, slotCount));
      expect(bitsOf(frame.values), `seed ${seed}`).toEqual(bitsOf(expected));
    }
  }
});

it('decode ∘ encode is the identity of loose frames', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    const count = rng.below(40);
    const slots = Uint32Array.from({ length: count }, () =>
      rng.below(rng.pick([3, 1000, 1 << 22])),
    );
    const times = Float64Array.from({ length: count }, () => rng.below(rng.pick([100, 2 ** 50])));
    const states = Uint8Array.from({ length: count }, () => (rng() < 0.9 ? 1 : 2));
    const values = Float64Array.from({ length: count }, (_, i) =>
      states[i] === 1 ? anyValue(rng) : 0,
    );
    const base = rng.below(2 ** 41);
    const encoder = new FrameEncoder();
    const payload = encoder.encodeLoose(1, base, count, slots, times, states, values);
    const frame = new FrameDecoder().decodeLoose(payload, base);
    expect(frame, `seed ${seed}`).toEqual({ count, slots, times, states, values });
  }
});

/** Any bytes: a frame or a FormatError. */
function tryBytes(decoder: FrameDecoder, bytes: Uint8Array, key: boolean): void {
  try {
    decoder.decodeAligned(bytes, key);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
  }
  try {
    decoder.decodeLoose(bytes, 1000);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
  }
}

it('any bytes give a frame or a FormatError', () => {
  const decoder = new FrameDecoder();
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    const bytes = rng() < 0.3 ? randomBytes(rng) : mutated(rng);
    // What an earlier round left behind must not matter.
    tryBytes(decoder, bytes, rng() < 0.8);
  }
});

function randomBytes(rng: Rng): Uint8Array {
  const bytes = Uint8Array.from({ length: rng.below(60) }, () => rng.below(256));
  if (bytes.length > 0) bytes[0] = 0x10 | rng.below(9);
  // A slot count that is not absurd, mostly: the rest shall be reached.
  if (bytes.length > 4 && rng() < 0.9) bytes.set([0, 0, rng.below(100)], 1);
  return bytes;
}

function mutated(rng: Rng): Uint8Array {
  const encoder = new FrameEncoder();
  const slotCount = 1 + rng.below(50);
  const states = Uint8Array.from({ length: slotCount }, () => rng.below(3));
  const values = Float64Array.from({ length: slotCount }, () => anyValue(rng));
  const bytes = encoder.encodeAligned(1, slotCount, states, values, true).slice();
  for (let i = 1 + rng.below(3); i > 0; i--) bytes[rng.below(bytes.length)] = rng.below(256);
  return rng() < 0.3 ? bytes.subarray(0, rng.below(bytes.length)) : bytes;
}
