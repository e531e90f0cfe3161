/**
 * The payload of a gap entry. See layout.format.md, "Gap".
 */
import { type GapCause, type GapRecord, asTime, invariant } from '@canopy/model';
import { ByteReader, ByteWriter } from './varint.js';

const GROUP_MAX = 0xffffffff;
/** A cause's number is its place; new ones are added at the end. */
const CAUSES: readonly GapCause[] = [
  'restart',
  'stopped',
  'trimmed',
  'refused',
  'corrupt',
  'clock',
];

export function encodeGap(gap: GapRecord): Uint8Array {
  const cause = CAUSES.indexOf(gap.cause);
  invariant(cause >= 0, 'BUG: gap cause without a number');
  const writer = new ByteWriter(32);
  writer.varint(gap.group);
  writer.signed(gap.from);
  writer.signed(gap.to);
  writer.u8(cause);
  writer.signed(gap.frames);
  return writer.copy();
}

/** @throws FormatError */
export function decodeGap(payload: Uint8Array): GapRecord {
  const reader = new ByteReader(payload);
  const group = reader.count(GROUP_MAX);
  const from = asTime(reader.signed());
  const to = asTime(reader.signed());
  const cause = CAUSES[reader.u8()];
  if (cause === undefined) return reader.fail('gap of an unknown cause');
  const frames = reader.signed();
  if (frames < -1) reader.fail('gap with a negative count');
  // What later versions add comes after.
  return { group, from, to, cause, frames };
}
