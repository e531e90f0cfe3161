import { readFileSync } from 'node:fs';
import { EntryKind, type GapRecord, asTime } from '@canopy/model';
import { expect, it } from 'vitest';
import { decodeEntry, encodeEntry, entryPayload } from './entry.js';
import { decodeGap, encodeGap } from './gap.js';
import { exampleBytes } from './testing/index.js';

const FIELDS = {
  epoch: 2,
  sequence: 41,
  kind: EntryKind.frame,
  group: 300,
  time: asTime(1_700_000_000_123),
  key: true,
};

it('brings entries back', () => {
  const check = (fields: typeof FIELDS, payload: number[], overhead: number) => {
    const bytes = Uint8Array.from(payload);
    const entry = encodeEntry(fields, bytes);
    expect(entry).toEqual({ ...fields, bytes: entry.bytes });
    expect(entry.bytes.length - payload.length).toBe(overhead);
    expect(decodeEntry(fields.epoch, fields.sequence, entry.bytes)).toEqual(entry);
    expect(entryPayload(entry)).toEqual(bytes);
    // As a view into something larger.
    const larger = Uint8Array.from([9, ...entry.bytes, 9]).subarray(1, -1);
    expect(entryPayload(decodeEntry(2, 41, larger))).toEqual(bytes);
  };
  check(FIELDS, [1, 2, 3], 14);
  check({ ...FIELDS, key: false, group: 1 }, [], 13);
  check({ ...FIELDS, time: asTime(0), group: 0 }, [], 8);
  check(
    { ...FIELDS, time: asTime(-5), group: 2 ** 32 - 1 },
    Array.from({ length: 300 }, () => 7),
    13,
  );
  check({ ...FIELDS, time: asTime(2 ** 53 - 1) }, [], 16);
  check({ ...FIELDS, kind: EntryKind.layout as typeof FIELDS.kind, key: false }, [1], 14);
});

it('refuses records that are not whole', () => {
  const { bytes } = encodeEntry(FIELDS, Uint8Array.of(1, 2, 3));
  for (let i = 0; i < bytes.length; i++) {
    expect(() => decodeEntry(1, 1, bytes.subarray(0, i))).toThrow(/at byte/);
    const flipped = bytes.slice();
    flipped[i] ^= 1;
    expect(() => decodeEntry(1, 1, flipped)).toThrow(/at byte/);
  }
  const longer = Uint8Array.from([...bytes, 0]);
  expect(() => decodeEntry(1, 1, longer)).toThrow(/length/);
});

it('brings gaps back', () => {
  const check = (gap: GapRecord) => expect(decodeGap(encodeGap(gap))).toEqual(gap);
  const times = { from: asTime(1_700_000_000_000), to: asTime(1_700_000_005_000) };
  for (const cause of ['restart', 'stopped', 'trimmed', 'refused', 'corrupt', 'clock'] as const) {
    check({ group: 7, ...times, cause, frames: -1 });
  }
  check({ group: 0, ...times, cause: 'refused', frames: 2 ** 40 });
  expect(() => decodeGap(Uint8Array.of(1, 2, 3, 6, 0))).toThrow(/cause/);
  expect(() => decodeGap(Uint8Array.of(1, 2))).toThrow(/early/);
});

const page = (name: string): Uint8Array[] =>
  exampleBytes(readFileSync(new URL(name, import.meta.url), 'utf8'));

it('writes the bytes of its format pages', () => {
  const fields = { ...FIELDS, group: 3, time: asTime(1_700_000_000_000) };
  const entry = encodeEntry(fields, Uint8Array.of(0xaa, 0xbb));
  expect([entry.bytes]).toEqual(page('./entry.format.md'));
  const from = asTime(1_700_000_000_000);
  const to = asTime(1_700_000_010_000);
  const gap = encodeGap({ group: 3, from, to, cause: 'restart', frames: -1 });
  expect([gap]).toEqual(page('./gap.format.md'));
});
