import { FormatError } from '@canopy/model';
import { expect, it } from 'vitest';
import { bitsOf, setNormalNan } from './bits.js';
import { crc32c } from './crc32c.js';
import { type Rng, anyValue, makeRng } from './testing/index.js';
import { type SlotCoder, SlotForm } from './slot-block.js';
import { TwinCoder } from './slot-twin.js';
import { loadWasmCoder } from './slot-wasm.js';
import { ensureKernel } from './testing/index.js';
import { AlignedTileEncoder, type TileColumns, TileReader, encodeTile } from './tile.js';

await ensureKernel();
const twin = new TwinCoder();
const kernel = loadWasmCoder();
if (typeof kernel === 'string') throw new Error(kernel);

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300);
const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 1);

/** A column that keeps one habit for a while, as series do. */
function fillValues(rng: Rng, values: Float64Array, from: number, count: number): void {
  const habit = rng.below(8);
  const scale = rng.pick([1, 10, 100, 1000, 1e6]);
  let value = rng.below(rng.pick([10, 1e6, 2 ** 45]));
  for (let i = from; i < from + count; i++) {
    if (habit === 0 && rng() < 0.1) value += rng.below(50);
    if (habit === 1) value += rng.below(100);
    if (habit === 2) value = rng.below(1000) / scale;
    if (habit === 3) value += rng();
    // Rarely a step; steps of very different sizes.
    if (habit === 6 && rng() < 0.03) value += rng.below(3);
    if (habit === 7 && rng() < 0.7) value += Math.round(2 ** (rng() * rng() * 49));
    values[i] = habit === 4 || rng() < 0.01 ? anyValue(rng) : value;
    if (habit === 5 && rng() < 0.2) value += (rng() - 0.5) * 2 ** 40;
  }
}

/** What exporters say of two others: their sum, in another unit, nearly. */
function fillTold(rng: Rng, values: Float64Array, slot: number, count: number): void {
  const [first, second] = [rng.below(slot), rng.below(slot)];
  const signs = [rng.pick([1, -1]), rng.pick([1, 0, -1])];
  const [offset, by] = [rng.below(1e6), rng.pick([1, 1, 1000, 1024])];
  const noise = rng.pick([0, 0, 20]);
  for (let i = 0; i < count; i++) {
    const told = signs[0] * values[first * count + i] + signs[1] * values[second * count + i];
    values[slot * count + i] = (told + offset + rng.below(noise + 1)) / by;
  }
}

function randomColumns(rng: Rng): TileColumns {
  const loose = rng() < 0.3;
  const slotCount = rng.below(8);
  const count = rng.below(rng.pick([3, 3, 40, 40, 130, 300]));
  const times = new Float64Array(loose ? slotCount * count : count);
  for (let i = 0, time = rng.below(2 ** 41); i < times.length; i++) {
    time += rng() < 0.8 ? 5000 : 1 + rng.below(10_000);
    times[i] = time;
  }
  const states = new Uint8Array(slotCount * count);
  const values = new Float64Array(slotCount * count);
  const lengths = new Uint32Array(slotCount);
  for (let slot = 0; slot < slotCount; slot++) {
    lengths[slot] = loose ? rng.below(count + 1) : count;
    const holes = rng.pick([0, 0, 0.05, 0.5, 1]);
    if (slot > 0 && rng() < 0.3) fillTold(rng, values, slot, count);
    else fillValues(rng, values, slot * count, lengths[slot]);
    for (let i = slot * count; i < slot * count + lengths[slot]; i++) {
      states[i] = rng() < holes ? rng.below(3) : 1;
    }
  }
  const kind = loose ? 'loose' : 'aligned';
  return { kind, slotCount, count, times, states, values, lengths };
}

it('decode ∘ encode is the identity', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const columns = randomColumns(makeRng(seed));
    const { count, slotCount, states, values, times, lengths } = columns;
    const expected = values.slice();
    for (let i = 0; i < states.length; i++) {
      if (states[i] !== 1) expected[i] = 0;
      else if (Number.isNaN(expected[i])) setNormalNan(bitsOf(expected), i);
    }
    const tile = new TileReader(encodeTile(columns, null, seed % 2 === 0));
    if (columns.kind === 'aligned') expect(tile.times(), `seed ${seed}`).toEqual(times);
    for (let slot = slotCount - 1; slot >= 0; slot--) {
      const from = slot * count;
      const to = from + lengths![slot];
      const part = { states: new Uint8Array(count), values: new Float64Array(count) };
      if (columns.kind === 'aligned') tile.readSlot(slot, part.values, part.states, 0);
      else {
        const read = tile.readLooseSlot(slot);
        expect(read.times, `seed ${seed}`).toEqual(times.slice(from, to));
        Object.assign(part, read);
      }
      expect(part.states, `seed ${seed}`).toEqual(states.slice(from, to));
      expect(bitsOf(part.values), `seed ${seed}`).toEqual(bitsOf(expected.slice(from, to)));
    }
  }
});

/** Reads all there is: done, or a FormatError. */
function tryBytes(bytes: Uint8Array): void {
  try {
    const tile = new TileReader(bytes);
    // What a reader does before it allocates: a limit of its own.
    if (tile.count > 10_000) return;
    const values = new Float64Array(tile.count);
    const states = new Uint8Array(tile.count);
    if (tile.kind === 'aligned') tile.times();
    for (let slot = 0; slot < Math.min(tile.slotCount, 100); slot++) {
      if (tile.kind === 'aligned') tile.readSlot(slot, values, states, 0);
      else tile.readLooseSlot(slot);
    }
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
  }
}

it('any bytes give a tile or a FormatError', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    const bytes = encodeTile(randomColumns(rng), null, rng() < 0.5);
    for (let i = 1 + rng.below(3); i > 0; i--) bytes[rng.below(bytes.length)] = rng.below(256);
    tryBytes(bytes);
    // With a right checksum, so that what lies behind it is reached.
    const cut = rng() < 0.2 ? bytes.slice(0, 4 + rng.below(bytes.length - 4)) : bytes;
    new DataView(cut.buffer).setUint32(cut.length - 4, crc32c(cut, 0, cut.length - 4), true);
    tryBytes(cut);
  }
});

it('the kernel writes the bytes of the twin, and reads what it reads', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const columns = randomColumns(makeRng(seed));
    if (columns.kind === 'loose') continue;
    const kept = seed % 2 === 0;
    const bytes = encodeTile(columns, twin, kept);
    expect(encodeTile(columns, kernel, kept), `seed ${seed}`).toEqual(bytes);
    expect(readAll(bytes, kernel), `seed ${seed}`).toEqual(readAll(bytes, twin));
  }
});

/** Bits of all values, or what was thrown, slot by slot. */
function readAll(bytes: Uint8Array, coder: SlotCoder): unknown[] {
  const tile = new TileReader(bytes, coder);
  const count = Math.min(tile.count, 5000);
  return Array.from({ length: Math.min(tile.slotCount, 100) }, (_, slot) => {
    const values = new Float64Array(count + 1).fill(7);
    const states = new Uint8Array(count + 1).fill(7);
    try {
      const summary = tile.readSlot(slot, values, states, 1);
      return [summary, Array.from(bitsOf(values)), Array.from(states)];
    } catch (error) {
      return String(error);
    }
  });
}

it('the kernel refuses what the twin refuses', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    const columns = randomColumns(rng);
    if (columns.kind === 'loose' || columns.count === 0) continue;
    const bytes = encodeTile(columns, null, rng() < 0.5);
    // Behind the head: counts and sections stay as they are, mostly.
    for (let i = 1 + rng.below(3); i > 0; i--) {
      bytes[24 + rng.below(bytes.length - 24)] = rng.below(256);
    }
    const end = bytes.length - 4;
    new DataView(bytes.buffer).setUint32(end, crc32c(bytes, 0, end), true);
    let twins: unknown[];
    try {
      twins = readAll(bytes, twin);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
      continue;
    }
    expect(readAll(bytes, kernel), `seed ${seed}`).toEqual(twins);
  }
});

it('slot by slot is the same as at once, in any form, other tiles in between', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    const columns = randomColumns(rng);
    if (columns.kind === 'loose') continue;
    const { slotCount, count, times, states, values } = columns;
    const coder = rng.pick([twin, kernel]);
    const kept = rng() < 0.5;
    const encoder = new AlignedTileEncoder(slotCount, times, coder, kept);
    while (encoder.slots < slotCount) {
      const slots = 1 + rng.below(Math.min(encoder.slotsAtOnce, slotCount - encoder.slots));
      const { block } = encoder;
      for (let k = 0; k < slots; k++) {
        const from = (encoder.slots + k) * count;
        const part = values.subarray(from, from + count);
        const isAll = states.subarray(from, from + count).every((state) => state === 1);
        const isConstant = isAll && count > 0 && part.every((value) => Object.is(value, part[0]));
        block.forms[k] = isConstant ? SlotForm.constant : isAll ? SlotForm.values : SlotForm.states;
        block.values.set(isConstant ? part.subarray(0, 1) : part, k * count);
        block.states.set(states.subarray(from, from + count), k * count);
      }
      encoder.add(slots);
      if (rng() < 0.2) encodeTile(randomColumns(rng), coder);
    }
    expect(encoder.finish(), `seed ${seed}`).toEqual(encodeTile(columns, null, kept));
  }
});
