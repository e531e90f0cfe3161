/**
 * The record of one journal entry: a short header, the payload, a checksum. See entry.format.md.
 */
import {
  type Epoch,
  EntryKind,
  FormatError,
  type GroupId,
  type JournalEntry,
  type Milliseconds,
  type Sequence,
  asTime,
  invariant,
} from '@canopy/model';
import { crc32c } from './crc32c.js';
import { ByteReader, writeSigned, writeVarint } from './varint.js';

const VERSION = 1;
const KEY = 0x08;
const HEADER_SIZE_MAX = 1 + 5 + 8 + 8;
const CRC_SIZE = 4;
const GROUP_MAX = 0xffffffff;

/** What an entry says besides its payload. */
export interface EntryFields {
  readonly epoch: Epoch;
  readonly sequence: Sequence;
  readonly kind: EntryKind;
  readonly group: GroupId;
  readonly time: Milliseconds;
  readonly key: boolean;
}

/** Makes an entry with bytes of its own; `payload` is copied. */
export function encodeEntry(fields: EntryFields, payload: Uint8Array): JournalEntry {
  const { epoch, sequence, kind, group, time, key } = fields;
  invariant(group >= 0 && group <= GROUP_MAX, 'BUG: group number out of range');
  invariant(Number.isSafeInteger(time), 'BUG: entry time is not an integer');
  const header = SCRATCH;
  header[0] = (VERSION << 4) | (key ? KEY : 0) | kind;
  let at = writeVarint(header, 1, group);
  at = writeSigned(header, at, time);
  at = writeVarint(header, at, payload.length);
  const bytes = new Uint8Array(at + payload.length + CRC_SIZE);
  for (let i = 0; i < at; i++) bytes[i] = header[i];
  bytes.set(payload, at);
  const end = at + payload.length;
  const crc = crc32c(bytes, 0, end);
  bytes[end] = crc;
  bytes[end + 1] = crc >>> 8;
  bytes[end + 2] = crc >>> 16;
  bytes[end + 3] = crc >>> 24;
  return { epoch, sequence, kind, group, time, key, bytes };
}
const SCRATCH = new Uint8Array(HEADER_SIZE_MAX);

/**
 * Reads the record that lies at (epoch, sequence). The entry keeps `bytes` (no copy).
 * @throws FormatError for another version or kind, a wrong length or checksum.
 */
export function decodeEntry(epoch: Epoch, sequence: Sequence, bytes: Uint8Array): JournalEntry {
  const reader = new ByteReader(bytes);
  const first = reader.u8();
  if (first >> 4 !== VERSION) throw new FormatError('entry of an unknown version', 0);
  const kind = (first & 7) as EntryKind;
  const key = (first & KEY) !== 0;
  if (kind < EntryKind.layout || kind > EntryKind.gap) {
    throw new FormatError('entry of an unknown kind', 0);
  }
  if (key && kind !== EntryKind.frame) throw new FormatError('only a frame is a key frame', 0);
  const group = reader.count(GROUP_MAX);
  const time = asTime(reader.signed());
  const length = reader.varint();
  if (reader.remaining !== length + CRC_SIZE) reader.fail('entry of a wrong length');
  const end = bytes.length - CRC_SIZE;
  const stored =
    bytes[end] | (bytes[end + 1] << 8) | (bytes[end + 2] << 16) | (bytes[end + 3] << 24);
  if (crc32c(bytes, 0, end) !== stored >>> 0) throw new FormatError('wrong checksum', end);
  return { epoch, sequence, kind, group, time, key, bytes };
}

/** The payload as a view of the entry's bytes; the entry must come from this module. */
export function entryPayload(entry: JournalEntry): Uint8Array {
  const { bytes } = entry;
  let at = 1;
  for (let field = 0; field < 3; field++) {
    while (bytes[at] >= 128) at++;
    at++;
  }
  return bytes.subarray(at, bytes.length - CRC_SIZE);
}
