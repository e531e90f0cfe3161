/** What a record unfolds to is known before it is unfolded. */
import { type LayoutRecord, asDuration, labelsFromObject } from '@canopy/model';
import { expect, it } from 'vitest';
import { decodeLayout, encodeLayout } from './layout.js';
import { unfoldedBytes } from './layout-size.js';
import { ByteWriter } from './varint.js';

const MIB = 1 << 20;

function layout(part: Partial<LayoutRecord>): LayoutRecord {
  const meta = {
    ...{ kind: 'aligned' as const, target: labelsFromObject({ job: 'n' }), scrapeUrl: 'u' },
    ...{ interval: asDuration(1000), continues: 0 },
  };
  const { slots = [], slotCount = slots.length } = part;
  const rest = { firstSlot: 0, firstFamily: 0, slotNumbers: null, families: [] };
  return { group: 1, version: 1, meta, ...rest, ...part, slots, slotCount };
}

/** Counted on what comes out, as layout-size.ts counts it before. */
function counted({ slots, families, firstSlot, slotCount }: LayoutRecord, texts: number): number {
  const labels = slots.reduce((sum, slot) => sum + slot.labels.length / 2, 0);
  return (
    16 * labels + 64 * slots.length + 64 * families.length + 8 * (slotCount - firstSlot) + texts
  );
}

const textBytes = (...texts: readonly string[]): number =>
  [...new Set(texts)].reduce((sum, text) => sum + 32 + Buffer.byteLength(text), 0);

it('counts what comes out', () => {
  const family = { name: 'x', type: 'counter', help: 'h', unit: '' } as const;
  const slots = Array.from({ length: 500 }, (_, i) => ({
    labels: labelsFromObject({
      __name__: 'x',
      job: 'n',
      i: String(i),
      ...(i % 3 === 0 && { a: 'b' }),
    }),
    family: 0,
  }));
  const check = (one: LayoutRecord): void => {
    const payload = encodeLayout(one);
    expect(decodeLayout(payload)).toEqual(one);
    const texts = textBytes('job', 'n', 'x', 'h', '', ...one.slots.flatMap(({ labels }) => labels));
    const found = unfoldedBytes(payload, 0);
    const least = counted(one, texts);
    // Texts stand in the payload, too, but for what they share.
    expect(found).toBeGreaterThanOrEqual(least - payload.length);
    expect(found).toBeLessThanOrEqual(least + payload.length);
  };
  check(layout({ slots, families: [family] }));
  const some = slots.slice(0, 3).map((slot) => ({ ...slot, family: -1 }));
  check(layout({ slots: some, slotNumbers: [1, 9, 30], slotCount: 100_000, families: [family] }));
  check(layout({ slots: some, firstSlot: 50, slotCount: 53, families: [family] }));
});

it('knows bombs by their size, in no time and memory', () => {
  const strings = new ByteWriter(8 * MIB);
  for (const byte of [1, 0, 1, 1, 0, 0, 0]) strings.u8(byte);
  const count = 1 << 20;
  strings.varint(count);
  for (let i = 0; i < count; i++) {
    strings.varint(i === 0 ? 0 : 123);
    const text =
      i === 0 ? 'p'.repeat(127) : String.fromCharCode(0x100 + (i >> 8), 0x100 + (i & 255));
    strings.text(text);
  }
  for (let i = 0; i < 7; i++) strings.u8(0);
  expect(unfoldedBytes(strings.view(), 64 * MIB)).toBeGreaterThan(150 * count);

  const labels = labelsFromObject(
    Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`label_${i}`, 'same'])),
  );
  const many = Array.from({ length: 300_000 }, () => ({ labels, family: -1 }));
  const shared = encodeLayout(layout({ slots: many }));
  expect(shared.length).toBeLessThan(MIB);
  expect(unfoldedBytes(shared, 64 * MIB)).toBeGreaterThan(160 * MIB);

  const claimed = encodeLayout(layout({ slotNumbers: [], slotCount: 1 << 22 }));
  expect(claimed.length).toBeLessThan(100);
  expect(unfoldedBytes(claimed, 64 * MIB)).toBeGreaterThan(32 * MIB);
  // Small ones that cannot come to much are not looked into.
  expect(unfoldedBytes(encodeLayout(layout({ slots: many.slice(0, 100) })), 64 * MIB)).toBe(0);
});
