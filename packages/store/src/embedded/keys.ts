/** Binary keys of the embedded store; keys.format.md shows them. Order of bytes is order of positions. */
import type { BlockId, Epoch, GroupId, JournalRef, Sequence } from '@canopy/model';

/** Journal id (16), 1 where a filter's hash follows, that hash or zeros (4). */
export const PREFIX_SIZE = 21;
/** Prefix, epoch (4), sequence (8). */
export const ENTRY_KEY_SIZE = PREFIX_SIZE + 12;
/** Prefix, epoch (4), group (4), sequence (8). */
export const GROUP_KEY_SIZE = PREFIX_SIZE + 16;

const HIGH = 2 ** 32;

/** The first bytes of every key of a journal. Fresh. */
export function journalPrefix(ref: JournalRef): Buffer {
  const prefix = Buffer.alloc(PREFIX_SIZE);
  prefix.write(ref.slice(0, 32), 0, 'hex');
  if (ref.length > 32) {
    prefix[16] = 1;
    prefix.write(ref.slice(33), 17, 'hex');
  }
  return prefix;
}

/** The journal whose prefix `key` begins with. */
export function refOfKey(key: Uint8Array): JournalRef {
  const bytes = Buffer.from(key.buffer, key.byteOffset, PREFIX_SIZE);
  const id = bytes.toString('hex', 0, 16);
  return (bytes[16] === 0 ? id : `${id}.${bytes.toString('hex', 17, 21)}`) as JournalRef;
}

export function entryKey(prefix: Uint8Array, epoch: Epoch, sequence: Sequence): Buffer {
  const key = Buffer.allocUnsafe(ENTRY_KEY_SIZE);
  key.set(prefix);
  key.writeUInt32BE(epoch, PREFIX_SIZE);
  writeSequence(key, sequence, PREFIX_SIZE + 4);
  return key;
}

/** Of a damaged key whatever is left. */
export function readEntryKey(key: Uint8Array): { epoch: Epoch; sequence: Sequence } {
  if (key.length !== ENTRY_KEY_SIZE) return { epoch: 0, sequence: 0 };
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return { epoch: view.getUint32(PREFIX_SIZE), sequence: readSequence(view, PREFIX_SIZE + 4) };
}

/** Key of a layout (its own sequence) or of a tile (its first frame's). */
export function groupKey(
  prefix: Uint8Array,
  epoch: Epoch,
  group: GroupId,
  sequence: Sequence,
): Buffer {
  const key = Buffer.allocUnsafe(GROUP_KEY_SIZE);
  key.set(prefix);
  key.writeUInt32BE(epoch, PREFIX_SIZE);
  key.writeUInt32BE(group, PREFIX_SIZE + 4);
  writeSequence(key, sequence, PREFIX_SIZE + 8);
  return key;
}

export function readGroupKey(key: Uint8Array): {
  epoch: Epoch;
  group: GroupId;
  sequence: Sequence;
} {
  if (key.length !== GROUP_KEY_SIZE) return { epoch: 0, group: 0, sequence: 0 };
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return {
    epoch: view.getUint32(PREFIX_SIZE),
    group: view.getUint32(PREFIX_SIZE + 4),
    sequence: readSequence(view, PREFIX_SIZE + 8),
  };
}

/** Key of a block's record. Fresh. */
export function blockKey(prefix: Uint8Array, block: BlockId): Buffer {
  const key = Buffer.allocUnsafe(PREFIX_SIZE + 4);
  key.set(prefix);
  key.writeUInt32BE(block, PREFIX_SIZE);
  return key;
}

export function readBlockKey(key: Uint8Array): BlockId {
  if (key.length !== PREFIX_SIZE + 4) return 0;
  return new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(PREFIX_SIZE);
}

/** Key of one chunk of a block. Fresh. */
export function chunkKey(prefix: Uint8Array, block: BlockId, chunk: number): Buffer {
  const key = Buffer.allocUnsafe(PREFIX_SIZE + 8);
  key.set(prefix);
  key.writeUInt32BE(block, PREFIX_SIZE);
  key.writeUInt32BE(chunk, PREFIX_SIZE + 4);
  return key;
}

/** After every key that begins with `prefix`. */
export function keyAfterAll(prefix: Uint8Array): Buffer {
  return Buffer.concat([prefix, Buffer.alloc(GROUP_KEY_SIZE - PREFIX_SIZE + 1, 0xff)]);
}

/** The first key after `key`. */
export function keyAfter(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)]);
}

function writeSequence(key: Buffer, sequence: Sequence, at: number): void {
  key.writeUInt32BE(Math.floor(sequence / HIGH), at);
  key.writeUInt32BE(sequence % HIGH, at + 4);
}

function readSequence(view: DataView, at: number): Sequence {
  return view.getUint32(at) * HIGH + view.getUint32(at + 4);
}
