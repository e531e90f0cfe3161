/** What a Head is told, and what it tells. */
import type {
  BlockMeta,
  BlockPiece,
  Clock,
  DurationMs,
  Epoch,
  GapRecord,
  GroupId,
  GroupKind,
  JournalRef,
  Labels,
  Milliseconds,
  StoredTile,
  TileMeta,
} from '@canopy/model';

/** Where closed tiles are read back from; `Store` is one. */
export interface TileSource {
  /** Bytes of tiles, in the order asked for; undefined for one that is gone. */
  readTiles(ref: JournalRef, tiles: readonly TileMeta[]): Promise<Array<Uint8Array | undefined>>;
  /** Bytes of blocks, likewise. */
  readBlocks(
    ref: JournalRef,
    pieces: readonly BlockPiece[],
  ): Promise<Array<Uint8Array | undefined>>;
}

export interface HeadOptions {
  readonly clock: Clock;
  /** How long samples stay in memory after their time. */
  readonly windowMs: DurationMs;
  /** Frames of a loose group that make a tile (aligned groups: from key frame to key frame). */
  readonly tileFrames: number;
  /** How far behind its group's newest sample a loose sample may be. */
  readonly outOfOrderWindow: DurationMs;
  /**
   * A tile closed and is to be stored. Called from within `apply` and `expire`, for wide tiles from a
   * timer after them; must not throw.
   * The bytes are never changed afterwards.
   */
  onTileClosed(ref: JournalRef, tile: StoredTile): void;
  /**
   * Bytes of a tile that came from the store (`block`: from there) fail their checks, each time they are read; the tile
   * is not shown. They may be another's: a store that fell back gives numbers of blocks again. Must not throw.
   */
  onTileCorrupt?(ref: JournalRef, meta: TileMeta, block?: BlockMeta): void;
  /** The index of a block fails its checks, or is another's now: nothing of the block is shown. Must not throw. */
  onBlockCorrupt?(ref: JournalRef, meta: BlockMeta): void;
  /**
   * Frames that a journal has cannot be decoded, because what they build on is gone: as a gap of their
   * group, wider with each call until the group's next key frame. Not told of a group whose beginning
   * this head never had. Called from within `apply`; must not throw.
   */
  onFramesLost?(ref: JournalRef, gap: GapRecord): void;
  /** Reads tiles that have left memory; null for a process that stores none. */
  readonly tileSource: TileSource | null;
  /** Wider tiles are encoded in steps, with the clock's timers; undefined: what takes about 5 ms at most. */
  readonly tileCellsAtOnce?: number;
  /** Bytes of blocks' indexes and mounted groups that stay when nobody uses them; undefined: 64 MiB. */
  readonly archiveBytesMax?: number;
  /** Bytes of tiles that are kept once they were read back; undefined: 64 MiB. */
  readonly tileCacheBytesMax?: number;
  /** Bytes of columns that are kept once they were decoded; undefined: 96 MiB. */
  readonly columnCacheBytesMax?: number;
  /** Series in the index. Over it new series are not indexed; their samples count as `series_limit`. */
  readonly maxSeries: number;
}

/** Counts since the head was made, and sizes as of now. Plain numbers. */
export interface HeadStats {
  /** Series with a value in the newest frame of their group; twice where two origins have it. */
  activeSeries: number;
  /** Label sets in the index. */
  series: number;
  groups: number;
  framesApplied: number;
  framesRepeated: number;
  framesUndecodable: number;
  /** Frames more than ten minutes ahead of the clock; taken in all the same. */
  framesAhead: number;
  samplesAppended: number;
  tilesClosed: number;
  tilesInMemory: number;
  /** Encoded tiles and packed tails in memory. */
  tileBytes: number;
  /** Uncompressed tails. */
  tailBytes: number;
  /** Tiles read back from the store, and those that were gone or failed their checks. */
  tilesRead: number;
  tilesUnreadable: number;
  /** Metas given to `restoreTiles` whose group has no layout. */
  tilesWithoutLayout: number;
  /** Samples not shown by selects because an earlier origin has the series at that time. */
  samplesHidden: number;
  /** Blocks in the store, and their bytes. */
  blocks: number;
  blockBytes: number;
  /** Indexes of blocks and mounted groups in memory, roughly; tiles of the store that are kept. */
  archiveBytes: number;
  tileCacheBytes: number;
  tileCacheHits: number;
  tileCacheMisses: number;
  /** Columns of tiles that are kept decoded, and the tiles they are of. */
  columnCacheBytes: number;
  /** Indexes of blocks read, and those that were gone or failed their checks. */
  indexesRead: number;
  indexesUnreadable: number;
  openSnapshots: number;
  /** By reason: `out_of_order`, `duplicate`, `too_old`, `conflict`, `series_limit` (samples); `corrupt` (entries). */
  refused: Record<string, number>;
}

/** One group as status pages show it. */
export interface GroupStatus {
  readonly epoch: Epoch;
  readonly group: GroupId;
  readonly kind: GroupKind;
  readonly target: Labels;
  readonly scrapeUrl: string;
  readonly interval: DurationMs;
  /** Slots with a value in the newest frame. */
  readonly activeSlots: number;
  readonly slotCount: number;
  /** Time of the newest frame; 0 before the first. */
  readonly lastFrameTime: Milliseconds;
  /** Nothing more is expected: the group was succeeded, or fell silent. */
  readonly ended: boolean;
}

/** What `expire` gave back. */
export interface Expired {
  series: number;
  /** Tiles that left memory. */
  tiles: number;
}
