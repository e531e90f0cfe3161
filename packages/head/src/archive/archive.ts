/**
 * What the store's blocks hold, brought into the head's index while somebody asks for it. A select
 * over an older range has the groups that can match *mounted*: their layouts and the extents of their
 * tiles; the tiles themselves are read when their columns are. What nobody uses leaves again, the
 * least recently used first.
 */
import { BlockIndex } from '@canopy/encoding';
import {
  type BlockId,
  type BlockMeta,
  CanopyError,
  FormatError,
  type JournalRef,
  type Matcher,
  type TimeRange,
  Turns,
  blockName,
} from '@canopy/model';
import { Group } from '../group/group.js';
import { Tile } from '../group/tile.js';
import type { TileSource } from '../options.js';
import type { Breath } from '../select/breath.js';
import { ArchivedBlock } from './archived-block.js';

/** What the archive asks of its head. */
export interface ArchiveHost {
  /** The group that goes on, or has tiles in memory; undefined where there is none. */
  liveGroup(ref: JournalRef, block: BlockIndex, number: number): Group | undefined;
  /** A group with a layout and nothing else; `known`: it is there for another block. */
  coldGroup(ref: JournalRef, block: BlockIndex, number: number, known?: Group): Group;
  /** A block whose index fails its checks. */
  indexUnreadable(ref: JournalRef, meta: BlockMeta): void;
  /** Groups that nothing is left of leave the index. */
  releaseCold(groups: readonly Group[]): void;
}

/** What one snapshot sees of the blocks, and which ones it holds. */
export interface ArchiveView {
  readonly version: number;
  readonly used: Set<ArchivedBlock>;
}

export class Archive {
  readonly #host: ArchiveHost;
  readonly #source: TileSource | null;
  readonly #bytesMax: number;
  readonly #blocks = new Map<JournalRef, ArchivedBlock[]>();
  /** By journal, epoch and number: groups that are here for their blocks only. */
  readonly #cold = new Map<string, Group>();
  readonly #views = new Set<ArchiveView>();
  readonly #loads = new Map<ArchivedBlock, Promise<void>>();
  /** All who read take turns. */
  readonly turns = new Turns(setImmediate);
  #version = 0;
  #uses = 0;
  /** Tiles whose newest sample is before this have left the head. */
  horizon = Number.NEGATIVE_INFINITY;
  readonly #counts = { indexesRead: 0, indexesUnreadable: 0 };

  constructor(host: ArchiveHost, source: TileSource | null, bytesMax = 64 << 20) {
    this.#host = host;
    this.#source = source;
    this.#bytesMax = bytesMax;
  }

  /** Parts of HeadStats. */
  get stats() {
    const sizes = { blocks: 0, blockBytes: 0, archiveBytes: 0 };
    for (const list of this.#blocks.values()) {
      for (const block of list) {
        sizes.archiveBytes += block.memoryBytes;
        if (!block.isSeen(this.#version)) continue;
        sizes.blocks++;
        sizes.blockBytes += block.meta.tileBytes + block.meta.indexBytes;
      }
    }
    return { ...this.#counts, ...sizes };
  }

  /** Blocks of a journal as new snapshots see them. */
  blocks(ref: JournalRef): BlockMeta[] {
    const known = this.#blocks.get(ref) ?? [];
    return known.filter((block) => block.isSeen(this.#version)).map(({ meta }) => meta);
  }

  /** Whether an open snapshot still sees blocks that were replaced. */
  isLate(ref: JournalRef): boolean {
    const known = this.#blocks.get(ref) ?? [];
    return known.some(({ until }) => until !== Number.POSITIVE_INFINITY);
  }

  /**
   * `meta` undefined: only takes away. `hadAllTiles`: those it was made of are in memory. Snapshots that are open go on seeing what they saw.
   */
  replace(
    ref: JournalRef,
    meta: BlockMeta | undefined,
    gone: readonly BlockId[],
    hadAllTiles = true,
  ): void {
    let blocks = this.#blocks.get(ref);
    if (blocks === undefined) this.#blocks.set(ref, (blocks = []));
    this.#version++;
    const replaced = blocks.filter(
      (block) => block.until === Number.POSITIVE_INFINITY && gone.includes(block.meta.id),
    );
    for (const block of replaced) block.until = this.#version;
    // By what it holds: an open snapshot may see one that had its number before the store fell back.
    const name = meta && blockName(meta);
    const isKnown = blocks.some((block) => blockName(block.meta) === name);
    if (meta !== undefined && !isKnown) {
      const isWhole = hadAllTiles && replaced.length === gone.length;
      const isLocal = isWhole && replaced.every(({ local }) => local);
      blocks.push(new ArchivedBlock(ref, meta, this.#version, isLocal));
    }
    this.#collect();
  }

  /** The catalogue is what the store says; blocks it has from before this process are not local. */
  restore(ref: JournalRef, metas: readonly BlockMeta[]): void {
    // By what they hold, too: a store that fell back may give a number to another block.
    const named = new Set(metas.map(blockName));
    const known = this.blocks(ref);
    const gone = known.filter((meta) => !named.has(blockName(meta)));
    this.replace(
      ref,
      undefined,
      gone.map(({ id }) => id),
    );
    const kept = new Set(this.blocks(ref).map(({ id }) => id));
    const blocks = this.#blocks.get(ref)!;
    for (const meta of metas) {
      if (!kept.has(meta.id)) blocks.push(new ArchivedBlock(ref, meta, this.#version, false));
    }
  }

  /** Forgets all blocks of a journal, those in use too. */
  forget(ref: JournalRef): void {
    const blocks = this.#blocks.get(ref) ?? [];
    this.#blocks.delete(ref);
    this.#unmount(blocks);
    for (const view of this.#views) for (const block of blocks) view.used.delete(block);
  }

  open(): ArchiveView {
    const view = { version: this.#version, used: new Set<ArchivedBlock>() };
    this.#views.add(view);
    return view;
  }

  close(view: ArchiveView): void {
    this.#views.delete(view);
    for (const block of view.used) block.uses--;
    view.used.clear();
    this.#collect();
    this.#trim();
  }

  /**
   * Mounts every group that may have series in a range for which all matchers of any set match.
   * @throws CanopyError where the store does not answer, or the index is full.
   */
  async mount(
    view: ArchiveView,
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
    breath: Breath,
  ): Promise<void> {
    for (const block of await this.#use(view, range, breath)) {
      const { index } = block;
      if (index === null) continue;
      const found = new Set(matcherSets.flatMap((matchers) => index.match(matchers)));
      for (const number of found) {
        if (block.mounted.has(number)) continue;
        this.#mountGroup(block, index, number);
        await breath.take();
      }
    }
  }

  /** Indexes of the blocks that concern a range; unreadable ones are counted and left out. */
  async indexes(view: ArchiveView, range: TimeRange, breath: Breath): Promise<BlockIndex[]> {
    const blocks = await this.#use(view, range, breath);
    return blocks.flatMap(({ index }) => (index === null ? [] : [index]));
  }

  /** The blocks that concern a range, held by the view, with their indexes. */
  async #use(view: ArchiveView, range: TimeRange, breath: Breath): Promise<ArchivedBlock[]> {
    const used: ArchivedBlock[] = [];
    for (const blocks of this.#blocks.values()) {
      for (const block of blocks) {
        if (!block.isSeen(view.version) || !block.concerns(range, this.horizon)) continue;
        used.push(block);
        block.lastUsed = ++this.#uses;
        if (view.used.has(block)) continue;
        view.used.add(block);
        block.uses++;
      }
    }
    await this.#load(used.filter(({ index }) => index === null));
    await breath.take();
    return used;
  }

  /** Reads indexes, all of one journal at once; each one once, however many ask. */
  async #load(blocks: readonly ArchivedBlock[]): Promise<void> {
    const byRef = new Map<JournalRef, ArchivedBlock[]>();
    for (const block of blocks) {
      if (this.#loads.has(block)) continue;
      const list = byRef.get(block.ref);
      if (list === undefined) byRef.set(block.ref, [block]);
      else list.push(block);
    }
    for (const [ref, list] of byRef) {
      const load = this.#read(ref, list).finally(() => {
        for (const block of list) this.#loads.delete(block);
      });
      for (const block of list) this.#loads.set(block, load);
    }
    await Promise.all(blocks.map((block) => this.#loads.get(block)));
  }

  async #read(ref: JournalRef, blocks: readonly ArchivedBlock[]): Promise<void> {
    const pieces = blocks.map(({ meta: { id, tileBytes, indexBytes } }) => ({
      ...{ block: id, position: tileBytes, byteLength: indexBytes },
    }));
    const read = (await this.#source?.readBlocks(ref, pieces)) ?? [];
    for (const [i, block] of blocks.entries()) {
      try {
        const bytes = read[i];
        if (bytes === undefined) throw new FormatError('the index of a block is gone');
        block.index = new BlockIndex(bytes);
        this.#counts.indexesRead++;
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        this.#counts.indexesUnreadable++;
        // One that was replaced and swept meanwhile is not damaged.
        if (read[i] !== undefined) this.#host.indexUnreadable(ref, block.meta);
      }
    }
  }

  #mountGroup(block: ArchivedBlock, index: BlockIndex, number: number): void {
    const { ref, meta } = block;
    const key = `${ref}/${index.epoch(number)}/${index.group(number)}`;
    let group = this.#host.liveGroup(ref, index, number);
    let slots = 0;
    try {
      if (group === undefined) {
        group = this.#host.coldGroup(ref, index, number, this.#cold.get(key));
        this.#cold.set(key, group);
        slots = group.layout.slotCount;
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#counts.indexesUnreadable++;
      return;
    }
    const place = { epoch: index.epoch(number), group: index.group(number) };
    const tiles = index.tiles(number).map((tile) => {
      const made = new Tile({ ...place, ...tile }, -1, tile.firstSequence, null, true);
      made.place = { block: meta.id, position: tile.position };
      made.archived = block;
      return made;
    });
    group.archive(tiles);
    block.noteMounted(number, group, slots, tiles.length);
    if (!group.layout.refusals.includes('series_limit') || slots === 0) return;
    this.#unmount([block]);
    throw new CanopyError('execution', 'the range has more series than the index may hold');
  }

  /** Blocks that were replaced go once no open snapshot sees them. */
  #collect(): void {
    let oldest = this.#version;
    for (const { version } of this.#views) oldest = Math.min(oldest, version);
    for (const [ref, blocks] of this.#blocks) {
      const gone = blocks.filter(({ until }) => until <= oldest);
      if (gone.length === 0) continue;
      this.#blocks.set(
        ref,
        blocks.filter(({ until }) => until > oldest),
      );
      this.#unmount(gone);
    }
  }

  /** Makes room, of what no open snapshot uses. */
  #trim(): void {
    let { archiveBytes: bytes } = this.stats;
    if (bytes <= this.#bytesMax) return;
    const idle: ArchivedBlock[] = [];
    for (const blocks of this.#blocks.values()) {
      for (const block of blocks) if (block.uses === 0 && block.memoryBytes > 0) idle.push(block);
    }
    idle.sort((a, b) => a.lastUsed - b.lastUsed);
    const gone: ArchivedBlock[] = [];
    while (bytes > this.#bytesMax && gone.length < idle.length) {
      const block = idle[gone.length];
      bytes -= block.memoryBytes;
      gone.push(block);
    }
    this.#unmount(gone);
  }

  #unmount(blocks: readonly ArchivedBlock[]): void {
    const empty: Group[] = [];
    for (const block of blocks) {
      for (const group of block.mounted.values()) {
        group.unarchive(block);
        const key = `${group.ref}/${group.epoch}/${group.id}`;
        if (group.archived.length > 0 || this.#cold.get(key) !== group) continue;
        this.#cold.delete(key);
        empty.push(group);
      }
      block.mounted.clear();
      block.mountedBytes = 0;
      block.index = null;
    }
    if (empty.length > 0) this.#host.releaseCold(empty);
  }
}
