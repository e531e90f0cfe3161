import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { bitsOf } from './bits.js';
import { decodeColumn } from './column.js';
import { crc32c } from './crc32c.js';
import { exampleBytes, makeRng } from './testing/index.js';
import { TileReader, encodeTile } from './tile.js';
import { ByteReader } from './varint.js';

type Cell = number | '.' | 'x';

function columns(rows: Cell[][]): { states: Uint8Array; values: Float64Array } {
  const cells = rows.flat();
  return {
    states: Uint8Array.from(cells, (cell) => (cell === '.' ? 0 : cell === 'x' ? 2 : 1)),
    values: Float64Array.from(cells, (cell) => (typeof cell === 'number' ? cell : 77)),
  };
}

function cells(states: Uint8Array, values: Float64Array): Cell[] {
  return Array.from(states, (state, i) => (state === 1 ? values[i] : state === 2 ? 'x' : '.'));
}

/** Slots come back, from a tile of either version. */
function check(slot: Cell[], times = slot.map((_, i) => 1_700_000_000_000 + 15_000 * i)): void {
  for (const kept of [false, true]) checkTile(slot, times, kept);
}

function checkTile(slot: Cell[], times: number[], kept: boolean): void {
  const rows = [slot, slot.map(() => 5), slot];
  const count = slot.length;
  const tile = new TileReader(
    encodeTile(
      {
        ...{ kind: 'aligned', slotCount: 3, count },
        ...{ times: Float64Array.from(times), ...columns(rows) },
      },
      null,
      kept,
    ),
  );
  expect([tile.kind, tile.slotCount, tile.count]).toEqual(['aligned', 3, count]);
  expect([tile.minTime, tile.maxTime]).toEqual([times[0] ?? 0, times.at(-1) ?? 0]);
  expect(Array.from(tile.times())).toEqual(times);
  const values = new Float64Array(count + 2).fill(99);
  const states = new Uint8Array(count + 2).fill(9);
  for (const i of [2, 0, 1]) {
    const summary = tile.readSlot(i, values, states, 1);
    expect(cells(states.subarray(1, -1), values.subarray(1, -1))).toEqual(rows[i]);
    expect(summary.present).toBe(rows[i].filter((cell) => cell !== '.').length);
    expect(summary.statesNull).toBe(rows[i].every((cell) => typeof cell === 'number'));
    expect([values[0], values[count + 1], states[0], states[count + 1]]).toEqual([99, 99, 9, 9]);
  }
  for (let i = 0; i < count; i++) if (states[i + 1] !== 1) expect(values[i + 1]).toBe(0);
}

it('keeps columns of every shape', () => {
  check([]);
  check([1]);
  check([7, 7, 7, 7]); // constant
  check([NaN, NaN, NaN]); // constant bits
  check([-0, -0]);
  check([0, -0, 0]); // not the same bits
  check([3, 1, 2, 0, 3, 1]); // packed
  check([1000, 1015, 1030, 1046, 1060]); // deltas
  // Rice codes: a few far from the others, one too far for a quotient.
  const jitter = Array.from({ length: 100 }, (_, i) => (i * 7919) % 60);
  check(jitter.map((noise, i) => 5000 * i + noise + (i === 50 ? 4000 : 0)));
  check(jitter.map((noise, i) => 5000 * i + noise + (i >= 50 ? 2 ** 45 : 0)));
  check(jitter.map((noise, i) => (i % 3 === 0 ? 1000 : noise === 30 ? 2 ** 30 : 1000 + noise)));
  check(jitter.map((noise, i) => (5000 * i + noise) * 0.001)); // near to decimals
  check(jitter.map((noise, i) => -(5000 * i + noise + 1) / 1000 / 1000));
  check(jitter.map((noise) => 4096 * noise)); // whole pages
  check(jitter.map((noise) => 1024 * noise - 2 ** 50)); // whole KiB
  check([5, 5, 5, 5, 5, 9, 9, 9, 9, 9, 9, 9, 9, 10, 10]); // steps
  // Rarely a step: at the very first, the last, few far apart, many.
  const stepsAt = (...places: number[]): number[] =>
    jitter.map((_, i) => 7 + places.filter((place) => place <= i).length);
  for (const places of [[1], [99], [1, 99], [98, 99], [30, 31, 77], [50]])
    check(stepsAt(...places));
  check(jitter.map((noise, i) => Math.floor(i / 3) * 100 + (noise > 55 ? 2 ** 40 : 0)));
  check(stepsAt(9, 33, 60).map((x) => 5 ** x)); // steps of very different sizes
  check(jitter.map((noise, i) => 2 ** (noise / 2) * (i % 2 === 0 ? 1 : -1)).map(Math.round)); // classes
  check(jitter.map((noise) => (noise === 0 ? 2 ** 46 : noise === 1 ? -(2 ** 46) : noise % 3)));
  check(jitter.map((noise) => (noise === 0 ? 2 ** 50 : noise === 1 ? -(2 ** 50) : noise % 3)));
  check([0.1, 0.25, 1, 17.5]); // decimals of several lengths
  check([1 / 3, 2 / 3, Math.PI, Math.PI, 1e300]); // exclusive-or
  check([Infinity, 1, -Infinity, 5e-324, NaN, 1e22, -1]);
  check([2 ** 53 - 1, -(2 ** 53 - 1), 0]); // range too wide for integers
  check([2 ** 53, 2 ** 63, -(2 ** 53)]);
  check([0, 2 ** 40, 3, 2 ** 45]); // wide
  check(['.', '.', '.']);
  check(['x', 'x']);
  check([1, 2, 'x', '.', '.', 3, 'x']);
  check(['.', 1 / 3, NaN, 'x', 5]);
  check([1, 2, 3], [-5, 0, 2 ** 50]);
});

it('keeps loose columns', () => {
  const bytes = encodeTile({
    kind: 'loose',
    slotCount: 3,
    count: 3,
    lengths: Uint32Array.from([2, 0, 3]),
    times: Float64Array.from([10, 20, 0, 0, 0, 0, -5, 7, 2 ** 60]),
    ...columns([
      [1, 'x', '.'],
      ['.', '.', '.'],
      [1 / 3, 2, 3],
    ]),
  });
  const tile = new TileReader(bytes);
  expect([tile.kind, tile.slotCount, tile.count]).toEqual(['loose', 3, 3]);
  expect([tile.minTime, tile.maxTime]).toEqual([-5, 2 ** 60]);
  const check = (slot: number, times: number[], row: Cell[]) => {
    const read = tile.readLooseSlot(slot);
    expect(Array.from(read.times)).toEqual(times);
    expect(cells(read.states, read.values)).toEqual(row);
    expect(read.statesNull).toBe(row.every((cell) => typeof cell === 'number'));
  };
  check(0, [10, 20], [1, 'x']);
  check(1, [], []);
  check(2, [-5, 7, 2 ** 60], [1 / 3, 2, 3]);
});

it('refuses what is not a whole tile', () => {
  const bytes = encodeTile({
    kind: 'aligned',
    slotCount: 2,
    count: 2,
    times: Float64Array.from([1, 2]),
    ...columns([
      [1, 2],
      [3, 4],
    ]),
  });
  for (let i = 0; i < bytes.length; i++) {
    expect(() => new TileReader(bytes.subarray(0, i)), `cut at ${i}`).toThrow(
      /tile|checksum|early/,
    );
    const flipped = bytes.slice();
    flipped[i] ^= 16;
    expect(() => new TileReader(flipped), `flipped ${i}`).toThrow(/tile|checksum/);
  }
});

it('writes the bytes of its format page', () => {
  const bytes = encodeTile({
    kind: 'aligned',
    slotCount: 3,
    count: 4,
    times: Float64Array.of(1000, 2000, 3000, 4001),
    ...columns([
      [5, 5, 5, 5],
      [10, 12, 'x', '.'],
      [0.5, 0.7, 0.6, 1],
    ]),
  });
  const page = readFileSync(new URL('./tile.format.md', import.meta.url), 'utf8');
  expect([bytes, tileToKeep(), tileOfSteps()]).toEqual(exampleBytes(page));
});

/** Random steps, the same ones each time. */
function walk(count: number, seed: number, step: number): number[] {
  const rng = makeRng(seed);
  let value = 1e6;
  return Array.from({ length: count }, () => (value += rng.below(step)));
}

/** Rows come back from a kept tile, to the bit; those told by others are so many. */
function checkTold(rows: number[][], told: number): void {
  const count = rows[0].length;
  const times = Float64Array.from({ length: count }, (_, i) => 1.7e12 + 15_000 * i);
  const given = { kind: 'aligned', slotCount: rows.length, count, times } as const;
  const bytes = encodeTile({ ...given, ...columns(rows) }, null, true);
  expect(bytes[2]).toBe(2);
  const tile = new TileReader(bytes);
  const values = new Float64Array(count);
  const states = new Uint8Array(count);
  for (const [slot, row] of rows.entries()) {
    const { present, statesNull } = tile.readSlot(slot, values, states, 0);
    const isAll = statesNull && present === count && states.every((state) => state === 1);
    const isSame = Buffer.from(values.buffer).equals(Buffer.from(Float64Array.from(row).buffer));
    expect([slot, isAll, isSame]).toEqual([slot, true, true]);
  }
  expect(slotHeads(bytes).filter((head) => head === 0x81).length).toBe(told);
}

/** The first byte of each slot of a kept tile. */
function slotHeads(bytes: Uint8Array): number[] {
  const reader = new ByteReader(bytes, 4, bytes.length - 4);
  const slotCount = reader.varint();
  reader.varint();
  reader.skip(16);
  let slots = bytes;
  let sizes: ByteReader | undefined;
  while (reader.remaining > 0) {
    const type = reader.u8();
    const section = reader.bytes();
    if (type === 2) slots = section;
    if (type === 4) sizes = new ByteReader(section);
  }
  const heads: number[] = [];
  for (let at = 0; heads.length < slotCount; ) {
    const column = sizes!.bytes();
    const values = new Float64Array(Math.min(1024, slotCount - heads.length));
    const own = new ByteReader(column);
    decodeColumn(own, column, own.u8(), values.length, values, bitsOf(values), 0);
    for (const size of values) {
      heads.push(slots[at]);
      at += size;
    }
  }
  return heads;
}

it('tells a slot by one or two others', () => {
  const [a, b] = [walk(120, 1, 1000), walk(120, 2, 5000)];
  const other = walk(120, 3, 1e6);
  checkTold([a, b, other], 0);
  checkTold([a, a], 1);
  checkTold([a, a.map((x) => x / 1000)], 1); // the same in another unit
  checkTold([a.map((x) => x / 1e6), a.map((x) => x * 4096)], 1);
  checkTold([a, a.map((x) => x - 2e6)], 1);
  checkTold([a, a.map((x) => 2 ** 40 - x)], 1);
  checkTold([a, b, a.map((x, i) => x + b[i])], 1);
  checkTold([a, b, other, a.map((x, i) => x - b[i] + 5)], 1);
  checkTold([a, b, other, a.map((x, i) => b[i] - x)], 1);
  checkTold([a, b, a.map((x, i) => 1e9 - x - b[i])], 1);
  // Not by one that is told itself.
  checkTold([a, a, a, a.map((x, i) => x + b[i]), b], 3);
  // Nearly: a rest of its own.
  checkTold([a, other, a.map((x, i) => x + (i % 7))], 1);
  checkTold([a, a.map((x, i) => (i < 60 ? x : x + 2 ** 30))], 1);
  // Not of integers, or not exact.
  checkTold([a.map((x) => x / 3), a.map((x) => x / 3)], 0);
  checkTold([a.map((x) => x * 2 ** 30 + 1), a.map((x) => x * 2 ** 30)], 0);
  // More slots than are compared.
  const many = Array.from({ length: 260 }, (_, i) => walk(50, 10 + i, 1e5));
  const short = walk(50, 1, 1000);
  checkTold([short, ...many, short], 0);
  checkTold([...many, short, short], 1);
});

/** That of the format page's second example. */
function tileToKeep(): Uint8Array {
  const a = [0, 99_999_999, 5, 99_999_999, 7, 9e7, 1, 8e7];
  const b = [3e7, 2, 1e8, 4, 7e7, 6, 9.9e7, 8];
  const told = a.map((x, i) => (x - b[i] + 5) / 1000);
  const times = Float64Array.from(a, (_, i) => 1000 * i);
  const given = { kind: 'aligned', slotCount: 3, count: 8, times } as const;
  return encodeTile({ ...given, ...columns([a, b, told]) }, null, true);
}

/** That of the format page's third example: gaps, and classes. */
function tileOfSteps(): Uint8Array {
  const steps = Array.from({ length: 24 }, (_, i) => (i < 20 ? 7 : 9));
  const far: Record<number, number> = { 5: 70_000, 11: -70_000, 17: 3000, 23: -3000 };
  const values = steps.map((_, i) => 1000 + (i % 4) + (far[i] ?? 0));
  const times = Float64Array.from(steps, (_, i) => 1000 * i);
  const given = { kind: 'aligned', slotCount: 2, count: 24, times } as const;
  return encodeTile({ ...given, ...columns([steps, values]) }, null, true);
}

/** Reads a slot of a tile with one byte changed. */
function checkChanged(
  bytes: Uint8Array,
  slot: number,
  [place, byte]: readonly [number, number],
  expected: RegExp | null,
): void {
  const changed = bytes.slice();
  changed[place] = byte;
  const crc = crc32c(changed, 0, changed.length - 4);
  new DataView(changed.buffer).setUint32(changed.length - 4, crc, true);
  const read = (): void => {
    const tile = new TileReader(changed);
    tile.readSlot(slot, new Float64Array(tile.count), new Uint8Array(tile.count), 0);
  };
  if (expected === null) read();
  else expect(read).toThrow(expected);
}

it('refuses relations that do not hold', () => {
  const bytes = tileToKeep();
  const at = bytes.lastIndexOf(0x81);
  const check = (place: number, byte: number, expected: RegExp | null): void =>
    checkChanged(bytes, 2, [place, byte], expected);
  check(at, 0x81, null);
  check(at + 1, 0x7a, /unknown scale/); // number 15
  check(at + 1, 0xfa, /unknown scale/);
  check(at + 2, 2, /not before/);
  check(at + 3, 2, /not before/);
  check(at + 3, 0x80, /./); // 5 and more slots back
  check(at + 4, 2, /not of integers/);
  check(at + 4, 6, /not of integers/);
  check(bytes.indexOf(4, 30), 6, /not of integers/); // what it is told by
  check(2, 1, /./); // version 1 has none
});

it('refuses gaps and classes that no writer makes', () => {
  const bytes = tileOfSteps();
  const check = (slot: number, place: number, byte: number, expected: RegExp | null): void =>
    checkChanged(bytes, slot, [place, byte], expected);
  const steps = bytes.indexOf(0x80, 30) - 3;
  check(0, steps + 3, 0x80, null);
  check(0, steps + 3, 0x80 + 54, /width/);
  check(0, steps, 0x04, /width/); // gaps of what has no steps
  check(0, steps + 4, 54, /width/);
  check(0, steps + 4, 6, /gap out of range/);
  const classes = bytes.indexOf(120, 30);
  check(1, classes, 121, /width/);
  check(1, classes + 1, 0x3f, /classes out of range/);
  check(1, classes + 2, 0x94, /too long/);
  check(1, classes + 2, 0x24, /fill up/);
  check(1, classes + 2, 0x44, /fill up/);
  check(1, bytes.length - 7, 0x02, /out of range/); // slot 0 ends before
  check(1, bytes.length - 7, 0x28, /sizes do not fit/);
  check(1, bytes.length - 7, 0x00, /sizes do not fit/);
  check(1, bytes.length - 6, 0x33, /sizes do not fit/);
  check(1, 4, 40, /sizes do not fit/); // more slots than bytes
  check(1, bytes.length - 9, 0x7f, /ends too early/); // a column beyond the tile
});

it('skips sections of later versions', () => {
  const bytes = encodeTile({
    kind: 'aligned',
    slotCount: 1,
    count: 2,
    times: Float64Array.of(1, 2),
    ...columns([[3, 4]]),
  });
  const later = new Uint8Array([...bytes.subarray(0, -4), 99, 2, 7, 7, 0, 0, 0, 0]);
  const crc = crc32c(later, 0, later.length - 4);
  new DataView(later.buffer).setUint32(later.length - 4, crc, true);
  const values = new Float64Array(2);
  new TileReader(later).readSlot(0, values, new Uint8Array(2), 0);
  expect(Array.from(values)).toEqual([3, 4]);
});
