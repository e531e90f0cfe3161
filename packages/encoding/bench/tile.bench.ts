/**
 * Tiles of 120 frames: ns and bytes a sample of the kernel and of its twin, interleaved, beside columns
 * as they lie in memory. Generated groups of 1,000 slots, a fifth of them or all of them changing, and
 * scrapes of real exporters, each its own tile.
 * Run: npx tsx --conditions canopy-source bench/tile.bench.ts [rounds]
 */
import type { SlotCoder } from '../src/slot-block.js';
import { twinCoder } from '../src/slot-coders.js';
import { loadWasmCoder } from '../src/slot-wasm.js';
import { type TileColumns, TileReader, encodeTile } from '../src/index.js';
import { SampleGroup, makeRng } from '../src/testing/index.js';
import { recordedColumns } from './recorded.js';

const SLOTS = 1000;
const COUNT = 120;
const rounds = Number(process.argv[2] ?? 10);

function generated(changing: number): TileColumns {
  const group = new SampleGroup(makeRng(7), SLOTS, changing);
  const times = Float64Array.from({ length: COUNT }, (_, i) => 1.7e12 + 5000 * i);
  const values = new Float64Array(SLOTS * COUNT);
  for (let i = 0; i < COUNT; i++) {
    group.advance();
    for (let slot = 0; slot < SLOTS; slot++) values[slot * COUNT + i] = group.values[slot];
  }
  const states = new Uint8Array(SLOTS * COUNT).fill(1);
  return { kind: 'aligned', slotCount: SLOTS, count: COUNT, times, states, values };
}

function changes({ slotCount, count, values }: TileColumns): number {
  let changed = 0;
  for (let slot = 0; slot < slotCount; slot++) {
    for (let at = slot * count + 1; at < (slot + 1) * count; at++) {
      if (values[at] !== values[at - 1]) changed++;
    }
  }
  return changed / (slotCount * count);
}

const loaded = loadWasmCoder();
if (typeof loaded === 'string') throw new Error(`no kernel: ${loaded}`);
const kernel = loaded;

function measure(title: string, columns: TileColumns): void {
  const { slotCount, count, values, states } = columns;
  const bytes = encodeTile(columns);
  const outValues = new Float64Array(count);
  const outStates = new Uint8Array(count);
  const readAll = (reader: TileReader): void => {
    for (let slot = 0; slot < slotCount; slot++) reader.readSlot(slot, outValues, outStates, 0);
  };
  const read = (coder: SlotCoder) => {
    const reader = new TileReader(bytes, coder);
    return () => readAll(reader);
  };
  const steps = {
    encode: () => void encodeTile(columns, kernel),
    encodeTwin: () => void encodeTile(columns, twinCoder()),
    decode: read(kernel),
    decodeTwin: read(twinCoder()),
    plain: () => {
      for (let slot = 0; slot < slotCount; slot++) {
        outValues.set(values.subarray(slot * count, (slot + 1) * count));
        outStates.set(states.subarray(slot * count, (slot + 1) * count));
      }
    },
  };
  const best = {
    encode: Infinity,
    encodeTwin: Infinity,
    decode: Infinity,
    decodeTwin: Infinity,
    plain: Infinity,
  };
  for (let round = 0; round < rounds; round++) {
    for (const name of Object.keys(steps) as Array<keyof typeof steps>) {
      const start = performance.now();
      steps[name]();
      const ns = ((performance.now() - start) * 1e6) / (count * slotCount);
      best[name] = Math.min(best[name], ns);
    }
  }
  const against = (ns: number, twin: number): string =>
    `${ns.toFixed(1)} ns a sample, 1/${(twin / ns).toFixed(1)} of the twin (${twin.toFixed(1)}), ${(ns / best.plain).toFixed(1)} copies`;
  console.log(
    `${title}: ${slotCount} slots, ${(changes(columns) * 100).toFixed(0)} % change, ${(bytes.length / slotCount / count).toFixed(3)} bytes a sample`,
  );
  console.log(`  encode ${against(best.encode, best.encodeTwin)}`);
  console.log(
    `  decode ${against(best.decode, best.decodeTwin)}; ${(1000 / best.decode).toFixed(0)} million a second`,
  );
}

measure('a fifth changing', generated(0.2));
measure('every one changing', generated(1));
for (const [name, columns] of recordedColumns()) measure(name, columns);
