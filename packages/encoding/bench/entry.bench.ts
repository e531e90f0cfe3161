/**
 * What journalling costs beside the frames: checksums against zlib's, records, layouts.
 * Run: npx tsx --conditions canopy-source bench/entry.bench.ts [rounds]
 */
import { crc32 } from 'node:zlib';
import { EntryKind, asDuration, asTime, labelsFromObject } from '@canopy/model';
import { crc32c, decodeEntry, decodeLayout, encodeEntry, encodeLayout } from '../src/index.js';
import { makeRng } from '../src/testing/index.js';

const rounds = Number(process.argv[2] ?? 20);
const rng = makeRng(1);
const payload = Uint8Array.from({ length: 600 }, () => rng.below(256));
const long = Uint8Array.from({ length: 1 << 18 }, () => rng.below(256));
const fields = { epoch: 1, sequence: 1, kind: EntryKind.frame, group: 9, key: false };
const time = asTime(1_700_000_000_000);
const record = encodeEntry({ ...fields, time }, payload).bytes;

const SLOTS = 10_000;
const target = labelsFromObject({ cluster: 'east', instance: '127.0.0.1:9100', job: 'node' });
const layout = {
  group: 9,
  version: 1,
  meta: {
    kind: 'aligned' as const,
    target,
    scrapeUrl: '',
    interval: asDuration(5000),
    continues: 0,
  },
  firstSlot: 0,
  firstFamily: 0,
  families: [],
  slotNumbers: null,
  slotCount: SLOTS,
  slots: Array.from({ length: SLOTS }, (_, i) => ({
    labels: labelsFromObject({
      __name__: `http_request_duration_seconds_${['bucket', 'sum', 'count'][i % 3]}`,
      cluster: 'east',
      handler: `/api/v${i % 7}/things/${Math.floor(i / 42)}`,
      instance: '127.0.0.1:9100',
      job: 'node',
      le: `${(i % 42) / 10}`,
    }),
    family: -1,
  })),
};
const layoutBytes = encodeLayout(layout);

const times = (count: number, run: () => unknown) => () => {
  for (let i = 0; i < count; i++) run();
};
const steps: Record<string, readonly [unit: number, run: () => void]> = {
  'crc32c, 256 KiB, ns a byte': [long.length, times(1, () => crc32c(long))],
  'zlib.crc32, 256 KiB, ns a byte': [long.length, times(1, () => crc32(long))],
  'encodeEntry, 600 bytes, ns': [
    1000,
    times(1000, () => encodeEntry({ ...fields, time }, payload)),
  ],
  'decodeEntry, 600 bytes, ns': [1000, times(1000, () => decodeEntry(1, 1, record))],
  'encodeLayout, ns a slot': [SLOTS, times(1, () => encodeLayout(layout))],
  'decodeLayout, ns a slot': [SLOTS, times(1, () => decodeLayout(layoutBytes))],
};
const best = new Map<string, number>();
for (let round = 0; round < rounds; round++) {
  for (const [name, [unit, run]] of Object.entries(steps)) {
    const start = performance.now();
    run();
    const ns = ((performance.now() - start) * 1e6) / unit;
    best.set(name, Math.min(best.get(name) ?? Infinity, ns));
  }
}
for (const [name, ns] of best) console.log(`${name.padEnd(34)} ${ns.toFixed(2)}`);
console.log(`layout: ${(layoutBytes.length / SLOTS).toFixed(1)} bytes a slot`);
