/**
 * What a layout record unfolds to, found without unfolding it: strings share their beginnings, slots their labels, and
 * a filtered view has slots that nothing is said of, so a few bytes can stand for many.
 */
import { SHARED_MAX } from './layout.js';
import { SLOTS_MAX } from './limits.js';
import { ByteReader } from './varint.js';

/** What each costs a reader in memory. Bytes, about. */
const STRING_BYTES = 32;
const LABEL_BYTES = 16;
const SLOT_BYTES = 64;
const FAMILY_BYTES = 64;
/** Of a slot of the group: a reader has columns for all of them. */
const COLUMN_BYTES = 8;
/** No record unfolds to more than so many times its size, columns left out. */
const GROWTH_MAX = 288;
const FILTERED = 2;
/** What strings share. */
const PREFIX_MAX = 127;

/**
 * Bytes, about. A small record is not looked into, where it cannot come to more than `enough`: the result is then 0.
 * @throws FormatError
 */
export function unfoldedBytes(payload: Uint8Array, enough: number): number {
  const isSmall = payload.length * GROWTH_MAX <= enough;
  const reader = new ByteReader(payload);
  reader.u8();
  const flags = reader.u8();
  if (isSmall && (flags & FILTERED) === 0) return 0;
  for (let i = 0; i < 4; i++) reader.varint(); // group, version, continues, interval
  reader.skip(reader.count(reader.remaining));
  let bytes = payload.length;
  for (let left = reader.count(reader.remaining); left > 0; left--) {
    bytes += STRING_BYTES + reader.count(PREFIX_MAX);
    reader.skip(reader.count(reader.remaining));
  }
  skipLabels(reader);
  reader.varint();
  for (let left = reader.count(reader.remaining); left > 0; left--) {
    bytes += FAMILY_BYTES;
    reader.u8();
    for (let i = 0; i < 3; i++) reader.varint();
  }
  const slotCount = reader.count(SLOTS_MAX);
  const firstSlot = reader.count(slotCount);
  bytes += (slotCount - firstSlot) * COLUMN_BYTES;
  const count = reader.count(Math.min(slotCount, reader.remaining));
  if ((flags & FILTERED) !== 0) for (let i = 0; i < count; i++) reader.varint();
  const shared = skipLabels(reader);
  if (shared > SHARED_MAX) reader.fail('too many shared labels');
  return (
    bytes + count * (SLOT_BYTES + LABEL_BYTES * shared) + ownLabels(reader, count) * LABEL_BYTES
  );
}

function skipLabels(reader: ByteReader): number {
  const count = reader.count(reader.remaining >> 1);
  for (let i = 0; i < 2 * count; i++) reader.varint();
  return count;
}

/** Labels that slots give themselves. */
function ownLabels(reader: ByteReader, slots: number): number {
  const shapes: number[] = [];
  let labels = 0;
  for (let slot = 0; slot < slots; slot++) {
    const shape = reader.count(shapes.length);
    if (shape === shapes.length) {
      const names = reader.count(reader.remaining);
      for (let i = 0; i < names; i++) reader.varint();
      shapes.push(names);
    }
    for (let i = 0; i < shapes[shape]; i++) reader.signed();
    reader.signed();
    labels += shapes[shape];
  }
  return labels;
}
