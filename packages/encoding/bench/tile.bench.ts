/**
 * Tiles of 1,000 slots and 120 frames, a fifth changed from frame to frame: ns and bytes a
 * sample, against columns as they lie in memory.
 * Run: npx tsx --conditions canopy-source bench/tile.bench.ts [rounds]
 */
import { type TileColumns, TileReader, encodeTile } from '../src/index.js';
import { SampleGroup, makeRng } from '../src/testing/index.js';

const SLOTS = 1000;
const COUNT = 120;
const rounds = Number(process.argv[2] ?? 10);

const columns = makeColumns();
function makeColumns(): TileColumns {
  const group = new SampleGroup(makeRng(7), SLOTS, 0.2);
  const times = Float64Array.from({ length: COUNT }, (_, i) => 1.7e12 + 5000 * i);
  const values = new Float64Array(SLOTS * COUNT);
  for (let i = 0; i < COUNT; i++) {
    group.advance();
    for (let slot = 0; slot < SLOTS; slot++) values[slot * COUNT + i] = group.values[slot];
  }
  const states = new Uint8Array(SLOTS * COUNT).fill(1);
  return { kind: 'aligned', slotCount: SLOTS, count: COUNT, times, states, values };
}

const bytes = encodeTile(columns);
const reader = new TileReader(bytes);
const outValues = new Float64Array(COUNT);
const outStates = new Uint8Array(COUNT);
const steps = {
  encode: () => void encodeTile(columns),
  decode: () => {
    for (let slot = 0; slot < SLOTS; slot++) reader.readSlot(slot, outValues, outStates, 0);
  },
  plain: () => {
    for (let slot = 0; slot < SLOTS; slot++) {
      outValues.set(columns.values.subarray(slot * COUNT, (slot + 1) * COUNT));
      outStates.set(columns.states.subarray(slot * COUNT, (slot + 1) * COUNT));
    }
  },
};
const best = { encode: Infinity, decode: Infinity, plain: Infinity };
for (let round = 0; round < rounds; round++) {
  for (const name of Object.keys(steps) as Array<keyof typeof steps>) {
    const start = performance.now();
    steps[name]();
    const ns = ((performance.now() - start) * 1e6) / (COUNT * SLOTS);
    best[name] = Math.min(best[name], ns);
  }
}
const ratio = (ns: number) =>
  `${(ns / best.plain).toFixed(1)} times a copy (${best.plain.toFixed(2)})`;
console.log(`bytes   ${(bytes.length / SLOTS / COUNT).toFixed(3)} a sample, plain 9`);
console.log(`encode  ${best.encode.toFixed(1)} ns a sample, ${ratio(best.encode)}`);
console.log(`decode  ${best.decode.toFixed(1)} ns a sample, ${ratio(best.decode)}`);
