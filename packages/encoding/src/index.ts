/** Bytes of what travels and is kept: journal entries, layouts, gaps, frames, tiles, blocks. */

/** Checksum of every record. */
export { crc32c } from './crc32c.js';
/** Numbers, texts and byte runs, with bounds checked. */
export { ByteReader, ByteWriter } from './varint.js';
/** Limits that decoders hold to. */
export { ENTRIES_MAX, SLOTS_MAX } from './limits.js';
/** The record of one journal entry. */
export { type EntryFields, decodeEntry, encodeEntry, entryPayload } from './entry.js';
/** Payload of an entry of kind layout. */
export {
  type NumberedLayout,
  type NumberedSlots,
  decodeLayout,
  decodeLayoutMeta,
  decodeNumberedLayout,
  encodeLayout,
} from './layout.js';
/** What a layout record unfolds to. */
export { unfoldedBytes } from './layout-size.js';
/** Payload of an entry of kind gap. */
export { decodeGap, encodeGap } from './gap.js';
/** What stands in the place of an entry that failed its checks. */
export { type InPlace, type Neighbours, gapInPlace } from './gap-in-place.js';
/** Payload of an entry of kind frame. */
export {
  type AlignedFrame,
  FrameDecoder,
  FrameEncoder,
  type LooseFrame,
  frameLayoutVersion,
} from './frame.js';
/** Which kernel codes tiles in this process. */
export { tileKernel } from './slot-coders.js';
/** What an `AlignedTileEncoder` is filled with. */
export { type SlotBlock, SlotForm } from './slot-block.js';
/** Columns of a group over a run of frames. */
export {
  AlignedTileEncoder,
  type LooseSlot,
  type SlotSummary,
  type TileColumns,
  TileReader,
  encodeTile,
} from './tile.js';
/** The index of a block: whose tiles lie where. */
export { type BlockGroup, BlockIndex, BlockIndexWriter, joinLayouts } from './block.js';
/** Tiles of one group as one. */
export { TileJoin } from './tile-join.js';
