import { expect, test } from 'vitest';
import { ensureKernel } from '../testing/kernel.js';
import { type NumberPrinter, numberPrinter, printKernel, twinPrinter } from './number-printer.js';
import { loadWasmPrinter } from './wasm.js';

await ensureKernel();

const rounds = Math.min(1e6, Number(process.env['CANOPY_FUZZ_ROUNDS'] ?? 40));
const seed = Number(process.env['CANOPY_FUZZ_SEED'] ?? 1);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

test('numbers are printed by the kernel where it is built', () => {
  expect(printKernel()).toEqual({ kernel: 'wasm', problem: '' });
  const broken = loadWasmPrinter(() => Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  expect(broken).toMatch(/another version/);
});

test('kernel and twin print alike what is at the edges', () => {
  const edges = [0, -0, 1, 9, 10, 99_999_999, 1e8, 1e16, 2 ** 53 - 1, 2 ** 53, 1e20, 1e21, 1e22];
  edges.push(5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 0.3, 1 / 3, 1e-6);
  edges.push(9.99999999999999e-7, 1e-7, 123456.789, 1e-5, 4.35, 0.000001234567890123, NaN);
  edges.push(Infinity, 9.5367431640625e-7, 1e23, 8.41e21, 2 ** 60, 2 ** 53 + 2);
  compare([...edges, ...edges.map((value) => -value)]);
  expect(print(numberPrinter(), [1e-7, 0.25, -Infinity])).toBe('1e-07|0.25|-Inf');
});

test('kernel and twin print alike any double and any time', () => {
  let state = seed;
  /** Uniform in [0, 2^32) (mulberry32). */
  const bits = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const random = (): number => bits() / 2 ** 32;
  const words = new Uint32Array(2);
  const asDouble = new Float64Array(words.buffer);
  const any = [
    () => {
      words[0] = bits();
      words[1] = bits();
      return asDouble[0];
    },
    () => random() * 100,
    () => Math.round(random() * 1e7) / 10 ** Math.floor(random() * 8),
    () => Math.round(random() * 10 ** Math.floor(random() * 23)),
    () => 2 ** Math.floor(random() * 2097 - 1074),
    () => 10 ** Math.floor(random() * 600 - 300),
  ];
  for (let round = 0; round < rounds; round++) {
    const draw = any[round % any.length];
    compare(Array.from({ length: 1024 }, draw));
    const times = Float64Array.from({ length: 1024 }, () => {
      const size = 10 ** Math.floor(random() * 16);
      return Math.floor((random() - 0.3) * size);
    });
    const [kernel, twin] = [numberPrinter(), twinPrinter()].map((printer) => {
      printer.stamp(times, 7, 1024);
      printer.values.fill(round);
      return text(printer.points());
    });
    expect(kernel).toBe(twin);
  }
});

function print(printer: NumberPrinter, values: readonly number[]): string {
  printer.values.set(values);
  const bytes = text(printer.numbers(values.length));
  return values.map((_, i) => bytes.slice(printer.ends[i - 1] ?? 0, printer.ends[i])).join('|');
}

function compare(values: readonly number[]): void {
  expect(print(numberPrinter(), values)).toBe(print(twinPrinter(), values));
}
