import { readFileSync } from 'node:fs';
import { NORMAL_NAN_HIGH, NORMAL_NAN_LOW } from '@canopy/model';
import { expect, it } from 'vitest';
import { HIGH, LOW, bitsOf } from './bits.js';
import { FrameDecoder, FrameEncoder, frameLayoutVersion } from './frame.js';
import { exampleBytes } from './testing/index.js';

/** One slot a letter: `.` none, `x` stale, else the number. */
type Row = ReadonlyArray<number | '.' | 'x'>;

function columns(row: Row): { states: Uint8Array; values: Float64Array } {
  return {
    states: Uint8Array.from(row, (cell) => (cell === '.' ? 0 : cell === 'x' ? 2 : 1)),
    values: Float64Array.from(row, (cell) => (typeof cell === 'number' ? cell : 77)),
  };
}

function cells(states: Uint8Array, values: Float64Array): Row {
  return Array.from(states, (state, i) => (state === 1 ? values[i] : state === 2 ? 'x' : '.'));
}

/** The rows, the first as key frame, come back; `changed` of each frame as expected. */
function check(rows: Row[], changed: number[]): void {
  const encoder = new FrameEncoder();
  const decoder = new FrameDecoder();
  rows.forEach((row, i) => {
    const { states, values } = columns(row);
    const payload = encoder.encodeAligned(7, row.length, states, values, i === 0);
    expect(frameLayoutVersion(payload)).toBe(7);
    const frame = decoder.decodeAligned(payload.slice(), i === 0);
    expect(cells(frame.states, frame.values)).toEqual(row);
    expect(frame.slotCount).toBe(row.length);
    expect(frame.changed, `frame ${i}`).toBe(changed[i]);
    expect(frame.samples).toBe(row.filter((cell) => cell !== '.').length);
    for (let slot = 0; slot < row.length; slot++) {
      if (frame.states[slot] !== 1) expect(frame.values[slot]).toBe(0);
    }
  });
}

it('keeps states and values from frame to frame', () => {
  check([[]], [0]); // no slots at all
  check([[1, 2, 3]], [3]);
  check(
    [
      [1, 2],
      [1, 2],
      [1, 3],
    ],
    [2, 0, 1],
  ); // same, changed
  check(
    [
      ['.', 5],
      ['.', 5],
      [5, 5],
    ],
    [1, 0, 1],
  ); // appears
  check([[5], ['.'], ['.'], [5]], [1, 1, 0, 1]); // no sample, then back
  check([[5], ['x'], ['.'], [5]], [1, 1, 0, 1]); // stale is an event, then none
  check([[5], ['x'], ['x']], [1, 1, 1]); // stale twice is two events
  check([['x', 1]], [2]); // stale in a key frame
  check([[1], [1, 2], [1, 2, '.', '.']], [1, 1, 0]); // slots are added
  check(
    [
      [0, -0],
      [-0, 0],
      [-0, 0],
    ],
    [2, 2, 0],
  ); // the sign of zero is a bit
});

it('keeps every value', () => {
  const integers = [0, -0, 1, -1, 63, 64, -64, -65, 2 ** 31, -(2 ** 31), 2 ** 53, 2 ** 53 - 1];
  const decimals = [0.1, 0.25, 12.34, -0.001, 1e-9, 123456.789, 1 / 3, Math.PI, 1e22, 1e300];
  const near = [539 * 0.001, 541 * 0.001, 39.394997000000004, -0.30000000000000004, 1e-9 * 3];
  const edges = [Infinity, -Infinity, NaN, 5e-324, -5e-324, 1.7976931348623157e308, 2.3e-308];
  const values = [...integers, -(2 ** 53), ...decimals, -1e-300, ...near, ...edges];
  // Each value after each other one in one slot: all differences.
  const rows: Row[] = [];
  for (const a of values) for (const b of values) if (!Object.is(a, b)) rows.push([a], [b]);
  const encoder = new FrameEncoder();
  const decoder = new FrameDecoder();
  rows.forEach((row, i) => {
    const payload = encoder.encodeAligned(1, 1, new Uint8Array([1]), Float64Array.from(row), !i);
    expect(decoder.decodeAligned(payload.slice(), !i).values[0]).toBe(row[0]);
  });
});

it('makes every NaN the normal one', () => {
  const values = new Float64Array(3);
  const bits = bitsOf(values);
  bits.set([1, 2, 3, 4, 5, 6]);
  for (let i = 0; i < 3; i++) bits[2 * i + HIGH] = [0x7ff00000, 0x7ff80000, 0xfff80000][i];
  const states = new Uint8Array([1, 1, 1]);
  const payload = new FrameEncoder().encodeAligned(1, 3, states, values, true);
  const frame = new FrameDecoder().decodeAligned(payload, true);
  const out = bitsOf(frame.values);
  for (let i = 0; i < 3; i++) {
    expect([out[2 * i + HIGH], out[2 * i + LOW]]).toEqual([NORMAL_NAN_HIGH, NORMAL_NAN_LOW]);
  }
});

it('refuses frames that do not follow', () => {
  const encoder = new FrameEncoder();
  const frames = [
    [1, 1],
    [1, 2],
    [2, 2],
  ].map((row, i) => {
    const { states, values } = columns(row);
    return encoder.encodeAligned(1, 2, states, values, i === 0).slice();
  });
  const decoder = new FrameDecoder();
  expect(() => decoder.decodeAligned(frames[1], false)).toThrow(/without the frame before/);
  decoder.decodeAligned(frames[0], true);
  expect(() => decoder.decodeAligned(frames[2], false)).toThrow(/missing/);
  expect(() => decoder.decodeAligned(frames[1], false)).toThrow(/without/); // waits for a key frame
  decoder.decodeAligned(frames[0], true);
  decoder.decodeAligned(frames[1], false);
  expect(cells(...at(decoder.decodeAligned(frames[2], false)))).toEqual([2, 2]);
  decoder.reset();
  expect(() => decoder.decodeAligned(frames[1], false)).toThrow(/without/);
  encoder.forget();
  const { states, values } = columns([1]);
  expect(() => encoder.encodeAligned(1, 1, states, values, false)).toThrow(/BUG/);
  decoder.decodeAligned(frames[0], true, 2);
  expect(() => decoder.decodeAligned(frames[0], true, 1)).toThrow(/out of range/);
  const absurd = Uint8Array.of(0x10, 1, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0);
  expect(() => decoder.decodeAligned(absurd, true)).toThrow(/out of range/);
});

function at(frame: { states: Uint8Array; values: Float64Array }): [Uint8Array, Float64Array] {
  return [frame.states, frame.values];
}

it('carries loose samples in their order', () => {
  const encoder = new FrameEncoder();
  const slots = Uint32Array.from([5, 5, 0, 70_000, 70_000]);
  const times = Float64Array.from([1000, 2000, 1999, -5, 2 ** 60]);
  const states = Uint8Array.from([1, 2, 1, 1, 1]);
  const values = Float64Array.from([1.5, 0, -0, NaN, 1 / 3]);
  const payload = encoder.encodeLoose(3, 1500, 5, slots, times, states, values);
  expect(frameLayoutVersion(payload)).toBe(3);
  expect(new FrameDecoder().decodeLoose(payload, 1500)).toEqual({
    count: 5,
    slots,
    times,
    states,
    values,
  });
  expect(() => new FrameDecoder().decodeAligned(payload, true)).toThrow(/loose/);
});

it('writes the bytes of its format page', () => {
  const page = readFileSync(new URL('./frame.format.md', import.meta.url), 'utf8');
  const [key, delta, loose] = exampleBytes(page);
  const encoder = new FrameEncoder();
  const aligned = (row: Row, isKey: boolean) => {
    const { states, values } = columns(row);
    return encoder.encodeAligned(2, row.length, states, values, isKey).slice();
  };
  expect(aligned([10, 0.25, NaN, 1 / 3, '.'], true)).toEqual(key);
  expect(aligned([13, 0.5, NaN, 'x', '.'], false)).toEqual(delta);
  const slots = Uint32Array.of(4, 4, 0);
  const times = Float64Array.of(990, 1005, 1000);
  const { states, values } = columns([7, 8, 'x']);
  expect(encoder.encodeLoose(2, 1000, 3, slots, times, states, values)).toEqual(loose);
});

it('skips sections of later versions', () => {
  const encoder = new FrameEncoder();
  const { states, values } = columns([1, 2]);
  const payload = encoder.encodeAligned(1, 2, states, values, true);
  const later = Uint8Array.from([...payload, 77, 3, 1, 2, 3]);
  expect(Array.from(new FrameDecoder().decodeAligned(later, true).values)).toEqual([1, 2]);
  const cut = later.subarray(0, -1);
  expect(() => new FrameDecoder().decodeAligned(cut, true)).toThrow(/early/);
});
