/**
 * Frames of 1,000 slots, a fifth changed: ns and bytes a sample, against the plain way of writing
 * every value as eight bytes and reading it back with a bitmap of the states.
 * Run: npx tsx --conditions canopy-source bench/frame.bench.ts [rounds]
 */
import { brotliCompressSync, constants } from 'node:zlib';
import { FrameDecoder, FrameEncoder } from '../src/index.js';
import { SampleGroup, makeRng } from '../src/testing/index.js';

const SLOTS = 1000;
const KEY_EVERY = 120;
const frames = 240;
const rounds = Number(process.argv[2] ?? 20);

const rows = makeRows();
function makeRows(): Float64Array[] {
  const group = new SampleGroup(makeRng(7), SLOTS, 0.2);
  return Array.from({ length: frames }, () => {
    group.advance();
    return group.values.slice();
  });
}
const states = new Uint8Array(SLOTS).fill(1);

/** The rival: all states, all values, as they lie in memory. */
function plainEncode(values: Float64Array): Uint8Array {
  const bytes = new Uint8Array(SLOTS * 9);
  bytes.set(states);
  bytes.set(new Uint8Array(values.buffer), SLOTS);
  return bytes;
}
function plainDecode(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.slice(SLOTS).buffer);
}

const encoder = new FrameEncoder();
const decoder = new FrameDecoder();
const payloads = rows.map((values, i) =>
  encoder.encodeAligned(1, SLOTS, states, values, i % KEY_EVERY === 0).slice(),
);
const plain = rows.map(plainEncode);

const steps = {
  encode: () =>
    rows.forEach((values, i) =>
      encoder.encodeAligned(1, SLOTS, states, values, i % KEY_EVERY === 0),
    ),
  plainEncode: () => rows.forEach(plainEncode),
  decode: () => payloads.forEach((bytes, i) => decoder.decodeAligned(bytes, i % KEY_EVERY === 0)),
  plainDecode: () => plain.forEach(plainDecode),
};
const best = { encode: Infinity, plainEncode: Infinity, decode: Infinity, plainDecode: Infinity };
for (let round = 0; round < rounds; round++) {
  for (const name of Object.keys(steps) as Array<keyof typeof steps>) {
    const start = performance.now();
    steps[name]();
    const ns = ((performance.now() - start) * 1e6) / (frames * SLOTS);
    best[name] = Math.min(best[name], ns);
  }
}

const changed = payloads.reduce((sum, bytes, i) => {
  const frame = decoder.decodeAligned(bytes, i % KEY_EVERY === 0);
  return i % KEY_EVERY === 0 ? sum : sum + frame.changed;
}, 0);
const size = payloads.reduce((sum, bytes) => sum + bytes.length, 0);
const page = Buffer.concat(payloads);
const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
const packed = brotliCompressSync(page, quality).length;
const per = (bytes: number) => (bytes / (frames * SLOTS)).toFixed(3);
const ratio = (ours: number, theirs: number) =>
  `${ours.toFixed(1)} ns a sample, ${(ours / theirs).toFixed(2)} times plain (${theirs.toFixed(1)})`;
console.log(`changed      ${((100 * changed) / (frames - 2) / SLOTS).toFixed(1)} %`);
console.log(`bytes        ${per(size)} a sample, plain 9; after brotli 1: ${per(packed)}`);
console.log(`key frame    ${(payloads[0].length / SLOTS).toFixed(2)} bytes a sample`);
console.log(`encode       ${ratio(best.encode, best.plainEncode)}`);
console.log(`decode       ${ratio(best.decode, best.plainDecode)}`);
