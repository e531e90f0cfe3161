/** Journal references and positions in bytes, as pages and cursors have them. */
import type { ByteReader, ByteWriter } from '@canopy/encoding';
import type { JournalId, JournalPosition, JournalRef } from '@canopy/model';
import { FormatError } from '@canopy/model';

const ID_SIZE = 16;
const HASH_SIZE = 4;
const ID_DIGITS = ID_SIZE * 2;

/** Size of what follows (16, or 20 with a filter's hash), then those bytes. */
export function writeRef(writer: ByteWriter, ref: JournalRef): void {
  const digits = ref.replace('.', '');
  writer.bytes(Buffer.from(digits, 'hex'));
}

/** @throws FormatError */
export function readRef(reader: ByteReader): JournalRef {
  const size = reader.u8();
  if (size !== ID_SIZE && size !== ID_SIZE + HASH_SIZE)
    reader.fail('journal reference of a wrong size');
  const digits = hex(reader.raw(size));
  const id = digits.slice(0, ID_DIGITS);
  return (size === ID_SIZE ? id : `${id}.${digits.slice(ID_DIGITS)}`) as JournalRef;
}

export function writeId(writer: ByteWriter, id: JournalId): void {
  writer.raw(Buffer.from(id, 'hex'));
}

/** @throws FormatError */
export function readId(reader: ByteReader): JournalId {
  return hex(reader.raw(ID_SIZE)) as JournalId;
}

export function writePosition(writer: ByteWriter, position: JournalPosition): void {
  writer.varint(position.epoch);
  writer.varint(position.sequence);
}

/** @throws FormatError */
export function readPosition(reader: ByteReader): JournalPosition {
  const epoch = reader.varint();
  const sequence = reader.varint();
  if (epoch === 0 && sequence > 0) throw new FormatError('position in no epoch', reader.position);
  return { epoch, sequence };
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
