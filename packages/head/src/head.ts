/** Takes in journal entries and keeps what they say at hand: the Appender and the Queryable. */
import {
  type LooseFrame,
  FrameDecoder,
  decodeNumberedLayout,
  entryPayload,
  frameLayoutVersion,
} from '@canopy/encoding';
import {
  type Appender,
  type ApplyTotals,
  EntryKind,
  type Epoch,
  type Family,
  FormatError,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type LayoutRecord,
  type Milliseconds,
  type Queryable,
  SampleState,
  type TileMeta,
  comparePositions,
} from '@canopy/model';
import { Archive, type ArchiveHost } from './archive/archive.js';
import { HeadBlocks } from './archive/head-blocks.js';
import { ColumnCache } from './archive/column-cache.js';
import { TileCache } from './archive/tile-cache.js';
import { Group } from './group/group.js';
import type { SharedIndex } from './group/layout.js';
import type { LooseLimits } from './group/loose-slots.js';
import { StoredTiles } from './group/stored-tiles.js';
import { TileClosing } from './group/tile-closing.js';
import type { Tile } from './group/tile.js';
import { type GroupPlace, JournalGroups, refuse } from './journal-groups.js';
import type { Expired, GroupStatus, HeadOptions, HeadStats } from './options.js';
import { Provenance } from './provenance.js';
import { Pins } from './select/pins.js';
import { HeadSnapshot } from './select/snapshot.js';
import { Families } from './series/families.js';
import { Origins } from './series/origins.js';
import { Reclaim } from './series/reclaim.js';
import { SeriesIndex } from './series/series-index.js';

/** A frame further ahead of the clock is counted as such. Milliseconds. */
const AHEAD_MS = 600_000;
/** A group that has missed so many intervals is silent, however short the window. */
const SILENT_INTERVALS = 3;
/** A group silent for longer begins with a key frame when it goes on: its tile may close, its chain end. */
const IDLE_MS = 40 * 60_000;
/** A source that sends no key frames gets tiles of so many times the usual length. */
const TILES_WITHOUT_KEY = 4;

/**
 * One path for all data: entries of a process's own journal, of a pull and of recovery are decoded
 * alike. To recover: `restoreLayouts`, then `restoreTiles`, then `apply` what the journal still
 * has; `expire` only after that. Does no I/O but through `tileSource`.
 */
export class Head implements Appender, Queryable {
  readonly #options: HeadOptions;
  readonly #index: SharedIndex;
  readonly #journals = new Map<JournalRef, JournalGroups>();
  /** By handle. */
  readonly #groups: Array<Group | undefined> = [];
  readonly #archive: Archive;
  readonly #caches: { readonly tileCache: TileCache; readonly columnCache: ColumnCache };
  readonly #reclaim: Reclaim;
  readonly blocks: HeadBlocks;
  readonly #pins = new Pins();
  readonly #looseDecoder = new FrameDecoder();
  readonly #closing: TileClosing;
  readonly #looseLimits: LooseLimits;
  /** Tiles that keep their log for open snapshots. */
  #loggedTiles: Tile[] = [];
  readonly #counts = {
    framesApplied: 0,
    framesRepeated: 0,
    framesUndecodable: 0,
    framesAhead: 0,
    samplesAppended: 0,
    tilesClosed: 0,
    tilesRead: 0,
    tilesUnreadable: 0,
    tilesWithoutLayout: 0,
    samplesHidden: 0,
    onTileCorrupt: (ref: JournalRef, { meta, archived }: Tile) =>
      this.#options.onTileCorrupt?.(ref, meta, archived?.meta),
  };
  readonly #refused: Record<string, number> = {};
  /** The head's tiles beside the store's. */
  readonly storedTiles: StoredTiles;
  readonly provenance: Provenance;

  constructor(options: HeadOptions) {
    this.#options = options;
    const { windowMs, outOfOrderWindow: late } = options;
    const limits = { windowMs: late, memoryMs: Math.max(windowMs, late) };
    this.#looseLimits = limits;
    this.#closing = new TileClosing(options, this.#tileClosed);
    this.storedTiles = new StoredTiles(this.#journals, this.#counts, limits, this.#closing);
    this.#index = {
      series: new SeriesIndex(options.maxSeries),
      origins: new Origins(),
      families: new Families(),
    };
    const { tileSource, archiveBytesMax, tileCacheBytesMax, columnCacheBytesMax } = options;
    this.#archive = new Archive(this.#archiveHost(), tileSource, archiveBytesMax);
    this.blocks = new HeadBlocks(this.#archive, this.#journals, (ref) => this.#journal(ref));
    const { series, origins } = this.#index;
    const parts = { ...options, journals: this.#journals, groups: this.#groups, series, origins };
    this.provenance = new Provenance(parts);
    this.#reclaim = new Reclaim(this.#pins, series, origins);
    this.#caches = {
      tileCache: new TileCache(tileCacheBytesMax),
      columnCache: new ColumnCache(columnCacheBytesMax),
    };
  }

  /** As of now; a fresh object. Takes time in proportion to groups and tiles, not to series. */
  get stats(): HeadStats {
    const sizes = { activeSeries: 0, groups: 0, tilesInMemory: 0, tileBytes: 0, tailBytes: 0 };
    for (const group of this.#groups) {
      if (group === undefined || group.released) continue;
      sizes.groups++;
      sizes.activeSeries += group.activeSlots;
      sizes.tailBytes += group.tailBytes;
      sizes.tileBytes += group.packedBytes;
      for (const { bytes } of group.tiles) {
        if (bytes === null) continue;
        sizes.tilesInMemory++;
        sizes.tileBytes += bytes.length;
      }
    }
    const { onTileCorrupt: _, ...counts } = this.#counts;
    return {
      ...counts,
      ...this.#archive.stats,
      ...this.#caches.tileCache.stats,
      columnCacheBytes: this.#caches.columnCache.bytes,
      ...sizes,
      series: this.#index.series.count,
      openSnapshots: this.#pins.count,
      refused: { ...this.#refused },
    };
  }

  apply(ref: JournalRef, entries: readonly JournalEntry[]): ApplyTotals {
    const totals: ApplyTotals = { frames: 0, samples: 0, repeated: 0, undecodable: 0, refused: {} };
    const journal = this.#journal(ref);
    for (const entry of entries) {
      if (comparePositions(entry, journal.position) <= 0) {
        if (entry.kind === EntryKind.frame) totals.repeated++;
        continue;
      }
      if (entry.epoch > journal.position.epoch) this.#endEpochsBefore(journal, entry.epoch);
      journal.position = { epoch: entry.epoch, sequence: entry.sequence };
      try {
        this.#take(journal, entry, totals);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        refuse(totals, 'corrupt', 1);
        const group = journal.find(entry.epoch, entry.group);
        group?.breakChain('corrupt');
        if (entry.kind === EntryKind.frame) journal.lose(entry, group);
      }
    }
    this.#count(totals);
    return totals;
  }

  /** Takes in layouts that the store kept, ordered by (epoch, group, version), before anything else. */
  restoreLayouts(ref: JournalRef, entries: readonly JournalEntry[]): void {
    const journal = this.#journal(ref);
    for (const entry of entries) {
      if (entry.kind !== EntryKind.layout) continue;
      try {
        this.#takeLayout(journal, entry, true);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        this.#refused.corrupt = (this.#refused.corrupt ?? 0) + 1;
      }
    }
  }

  /** Takes in what tiles the store has: their frames are not added again by `apply`. `trimmed`: where the journal was cut. */
  restoreTiles(ref: JournalRef, metas: readonly TileMeta[], trimmed?: JournalPosition): void {
    this.#counts.tilesWithoutLayout += this.#journal(ref).restoreTiles(metas, trimmed);
  }

  /** Newest entry applied in this process; undefined before the first. */
  position(ref: JournalRef): JournalPosition | undefined {
    const position = this.#journals.get(ref)?.position;
    return position === undefined || position.epoch === 0 ? undefined : position;
  }

  /**
   * The journal may be trimmed up to here: whatever is later needed after a restart comes behind
   * it, or is in tiles that were reported as stored. Epoch 0 where nothing may be trimmed.
   */
  trimmable(ref: JournalRef): JournalPosition {
    return this.#journals.get(ref)?.trimmable() ?? { epoch: 0, sequence: 0 };
  }

  /** The store has a tile that `onTileClosed` handed out. */
  tileStored(ref: JournalRef, meta: TileMeta): void {
    const tile = this.#journals.get(ref)?.tile(meta);
    if (tile !== undefined) tile.stored = true;
  }

  /** The store has dropped tiles (retention); they are not asked for any more. */
  dropTiles(ref: JournalRef, metas: readonly TileMeta[]): void {
    this.#journals.get(ref)?.dropTiles(metas);
  }

  /** Forgets a journal with all its samples; snapshots that are open lose sight of them too. */
  dropJournal(ref: JournalRef): void {
    const journal = this.#journals.get(ref);
    if (journal === undefined) return;
    this.#archive.forget(ref);
    this.#caches.tileCache.forget(ref);
    this.#journals.delete(ref);
    for (const group of journal) group.sealed = null;
    this.#releaseGroups([...journal].filter(({ released }) => !released));
  }

  /**
   * Forgets what is older than the window: tiles leave memory (those the store has can still be
   * read), groups without samples leave the index. Closes tiles of groups that have fallen silent.
   * While a snapshot is open that is younger than the window, nothing is forgotten.
   */
  expire(now: Milliseconds): Expired {
    for (const journal of this.#journals.values()) {
      for (const group of journal) if (!group.released) this.#closeSilent(journal, group, now);
    }
    const { windowMs, clock } = this.#options;
    if (this.#pins.openSince(clock.monotonic() - windowMs)) return { series: 0, tiles: 0 };
    const horizon = now - windowMs;
    this.#archive.horizon = Math.max(this.#archive.horizon, horizon);
    let tiles = 0;
    const empty: Group[] = [];
    for (const journal of this.#journals.values()) {
      for (const group of journal) {
        if (group.released) continue;
        tiles += group.expireTiles(horizon, this.#options.tileSource !== null);
        if (group.ended && group.empty && journal.isOver(group)) empty.push(group);
      }
    }
    return { series: this.#releaseGroups(empty), tiles };
  }

  /**
   * Groups whose layouts no tile and no frame after `trimmed`, where the journal is cut, needs: until `layoutsDropped`.
   */
  groupsNotNeeded(ref: JournalRef, trimmed: JournalPosition): GroupPlace[] {
    return this.#journals.get(ref)?.notNeeded(trimmed) ?? [];
  }

  /** The store has dropped the layouts of groups that were not needed. */
  layoutsDropped(ref: JournalRef, groups: readonly GroupPlace[]): void {
    this.#journals.get(ref)?.forget(groups);
  }

  /** All groups of a journal that have or expect samples, in no order. */
  groups(ref: JournalRef): GroupStatus[] {
    const groups = [...(this.#journals.get(ref) ?? [])];
    return groups.filter(({ released }) => !released).map((group) => group.status());
  }

  snapshot(): HeadSnapshot {
    const { clock, tileSource } = this.#options;
    const pins = this.#pins.open(clock.monotonic());
    const input = {
      ...this.#index,
      ...this.#caches,
      ...{ groups: this.#groups, tileSource, counts: this.#counts },
    };
    return new HeadSnapshot(input, clock, pins, this.#archive, () => {
      this.#pins.close(pins);
      this.#reclaim.run();
      if (this.#pins.count > 0) return;
      for (const tile of this.#loggedTiles) tile.log = null;
      this.#loggedTiles = [];
    });
  }

  metadata(): ReadonlyMap<string, readonly Family[]> {
    return this.#index.families.all();
  }

  #journal(ref: JournalRef): JournalGroups {
    let journal = this.#journals.get(ref);
    if (journal === undefined) {
      journal = new JournalGroups(ref, this.#options.onFramesLost);
      this.#journals.set(ref, journal);
    }
    return journal;
  }

  /** @throws FormatError */
  #take(journal: JournalGroups, entry: JournalEntry, totals: ApplyTotals): void {
    if (entry.kind === EntryKind.layout) {
      this.#takeLayout(journal, entry, false);
    } else if (entry.kind === EntryKind.frame) {
      this.#takeFrame(journal, entry, totals);
    } else {
      journal.takeGap(entry);
    }
  }

  /** @throws FormatError where a record is no next step of its group's layout. */
  #takeLayout(journal: JournalGroups, entry: JournalEntry, recovery: boolean): void {
    const record = decodeNumberedLayout(entryPayload(entry));
    const { epoch } = entry;
    if (record.group !== entry.group) throw new FormatError('layout of another group');
    let group = journal.find(epoch, record.group);
    if (group === undefined || group.released) {
      if (record.version !== 1 && record.slotNumbers === null) {
        throw new FormatError('layout without its first record');
      }
      group = this.#newGroup(journal.ref, epoch, record);
      journal.add(group);
      this.#pins.note(group);
    }
    if (record.version > group.layout.version) {
      if (!group.layout.follows(record)) throw new FormatError('layout record out of turn');
      group.layout.extend(record, entry, recovery ? -1 : group.rowCount);
    }
    group.lastSequence = Math.max(group.lastSequence, entry.sequence);
    group.touchedTime = Math.max(group.touchedTime, entry.time);
    const before = journal.find(epoch, record.meta.continues);
    if (record.meta.continues !== 0 && before !== undefined) {
      this.#endGroup(before);
      before.finished = true;
    }
  }

  #newGroup(ref: JournalRef, epoch: Epoch, record: Pick<LayoutRecord, 'group' | 'meta'>): Group {
    const handle = this.#reclaim.takeHandle() ?? this.#groups.length;
    const place = { ref, epoch, id: record.group };
    const group = new Group(place, record.meta, this.#index, handle, this.#options.tileFrames);
    this.#groups[handle] = group;
    return group;
  }

  /** @throws FormatError */
  #takeFrame(journal: JournalGroups, entry: JournalEntry, totals: ApplyTotals): void {
    const group = journal.find(entry.epoch, entry.group);
    const payload = entryPayload(entry);
    if (
      group === undefined ||
      group.released ||
      frameLayoutVersion(payload) > group.layout.version
    ) {
      group?.breakChain('corrupt');
      totals.undecodable++;
      journal.lose(entry, group);
      return;
    }
    group.lastSequence = Math.max(group.lastSequence, entry.sequence);
    group.touchedTime = Math.max(group.touchedTime, entry.time);
    if (entry.time > this.#options.clock.now() + AHEAD_MS) this.#counts.framesAhead++;
    else journal.newestTime = Math.max(journal.newestTime, entry.time);
    if (group.meta.kind === 'aligned') this.#takeAligned(group, entry, payload, totals);
    else this.#takeLoose(group, entry, payload, totals);
  }

  #takeAligned(group: Group, entry: JournalEntry, payload: Uint8Array, totals: ApplyTotals): void {
    if (entry.sequence <= group.storedSequence) {
      group.defer(entry);
      totals.repeated++;
      return;
    }
    if (!entry.key && !group.takeUp()) {
      totals.undecodable++;
      this.#journal(group.ref).lose(entry, group);
      return;
    }
    // Before anything is made for its slots.
    const frame = group.decoder.decodeAligned(payload, entry.key, group.layout.slotCount);
    group.waiting = false;
    if (entry.key) this.#journal(group.ref).begin(group, entry.sequence);
    this.#pins.note(group);
    group.goOn();
    const rowsMax = this.#options.tileFrames * TILES_WITHOUT_KEY;
    const full = group.aligned?.isFull(frame.slotCount, rowsMax) ?? false;
    if (entry.key || full) this.#closeTile(group);
    if (entry.time <= group.lastTime) {
      group.aligned?.touch(frame);
      refuse(totals, 'out_of_order', frame.samples);
      return;
    }
    group.appendAligned(entry.sequence, entry.time, frame, this.#pins.count > 0);
    totals.frames++;
    totals.samples += frame.samples;
    const { refusedSlots, refusals } = group.layout;
    for (let i = 0; i < refusedSlots.length; i++) {
      const slot = refusedSlots[i];
      if (slot >= frame.slotCount || frame.states[slot] === SampleState.none) continue;
      refuse(totals, refusals[i], 1);
      totals.samples--;
    }
  }

  #takeLoose(group: Group, entry: JournalEntry, payload: Uint8Array, totals: ApplyTotals): void {
    if (entry.sequence <= group.storedSequence) {
      totals.repeated++;
      return;
    }
    const frame: LooseFrame = this.#looseDecoder.decodeLoose(payload, entry.time);
    this.#pins.note(group);
    group.goOn();
    group.keySequence = entry.sequence;
    if (group.isLooseFull(this.#options.tileFrames)) this.#closeTile(group);
    totals.frames++;
    totals.samples += group.appendLoose(entry.sequence, frame, this.#looseLimits, (reason) =>
      refuse(totals, reason, 1),
    );
  }

  #closeTile(group: Group): void {
    this.#closing.close(group, this.#pins.count > 0);
  }

  readonly #tileClosed = (group: Group, tile: Tile): void => {
    if (tile.log !== null) this.#loggedTiles.push(tile);
    this.#counts.tilesClosed++;
    this.#options.onTileClosed(group.ref, { meta: tile.meta, bytes: tile.bytes! });
  };

  #endGroup(group: Group): void {
    if (group.ended) return;
    this.#pins.note(group);
    this.#closeTile(group);
    group.end();
  }

  #endEpochsBefore(journal: JournalGroups, epoch: Epoch): void {
    for (const group of journal.before(epoch)) this.#endGroup(group);
  }

  /** A group that its journal has left behind has ended; one whose journal is late may go on. */
  #closeSilent(journal: JournalGroups, group: Group, now: number): void {
    if (group.ended) return;
    const window = Math.min(this.#options.windowMs, IDLE_MS);
    const patience = Math.max(window, group.meta.interval * SILENT_INTERVALS);
    const last = Math.max(group.lastTime, group.touchedTime);
    if (journal.newestTime - last > patience) {
      this.#endGroup(group);
    } else if (now - last > patience && !group.silent) {
      this.#closeTile(group);
      group.silent = true;
    }
  }

  /** Takes groups out of the index. Returns series that go with them, once no open snapshot may name them. */
  #releaseGroups(groups: readonly Group[]): number {
    const orphans: number[] = [];
    for (const group of groups) {
      group.layout.release(orphans);
      group.release();
      this.#groups[group.handle] = undefined;
    }
    this.#reclaim.add(
      orphans,
      groups.map(({ handle }) => handle),
    );
    return orphans.length;
  }

  #archiveHost(): ArchiveHost {
    return {
      liveGroup: (ref, index, number) => {
        const group = this.#journals.get(ref)?.find(index.epoch(number), index.group(number));
        return group?.released ? undefined : group;
      },
      coldGroup: (ref, index, number, known) => {
        const { layout, steps } = index.layout(number);
        const group = known ?? this.#newGroup(ref, index.epoch(number), layout);
        group.end();
        group.layout.restore(layout, steps);
        return group;
      },
      indexUnreadable: (ref, meta) => this.#options.onBlockCorrupt?.(ref, meta),
      releaseCold: (groups) => void this.#releaseGroups(groups),
    };
  }

  #count(totals: ApplyTotals): void {
    this.#counts.framesApplied += totals.frames;
    this.#counts.framesRepeated += totals.repeated;
    this.#counts.framesUndecodable += totals.undecodable;
    this.#counts.samplesAppended += totals.samples;
    for (const [reason, count] of Object.entries(totals.refused)) {
      this.#refused[reason] = (this.#refused[reason] ?? 0) + count;
    }
  }
}
