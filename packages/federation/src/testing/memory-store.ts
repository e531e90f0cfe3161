import type {
  BlockId,
  BlockMeta,
  BlockPiece,
  CommitOutcome,
  DurationMs,
  Epoch,
  GroupId,
  JournalCommit,
  JournalEntry,
  JournalPosition,
  JournalRef,
  JournalState,
  Lease,
  LeaseOutcome,
  ReadLimits,
  Replaced,
  Store,
  StoredTile,
  StoreUsage,
  TileMeta,
  Clock,
} from '@canopy/model';
import { gapInPlace } from '@canopy/encoding';
import {
  BLOCK_CHUNK_BYTES,
  CanopyError,
  comparePositions,
  EntryKind,
  type GapRecord,
  type Ledger,
  asTime,
  parseLedger,
} from '@canopy/model';
import {
  type AtRest,
  type MemoryJournal,
  type Pick,
  type Spoil,
  copyOf,
  damageJournal,
  emptyJournal,
  isWhole,
  withFlippedBit,
} from './memory-journal.js';

/** A record that did not pass its checks, each time it is read. */
export interface CorruptEntry {
  readonly what: 'entry' | 'layout' | 'document';
  /** Null, as the gap, of a document. */
  readonly journal: JournalRef | null;
  readonly place: string;
  readonly gap: GapRecord | null;
}

const fellBack = (what: string): CanopyError => new CanopyError('storage_unavailable', what);
const tileKey = (meta: TileMeta) => `${meta.epoch}/${meta.group}/${meta.firstSequence}`;

/**
 * The Store port in memory, for tests: same outcomes as the real ones, nothing durable. `fail`
 * makes every method reject until it is undefined again.
 */
export class MemoryStore implements Store {
  readonly kind = 'embedded';
  readonly #clock: Clock;
  readonly #journals = new Map<JournalRef, MemoryJournal>();
  readonly #leases = new Map<JournalRef, { owner: string; fence: number; until: number }>();
  readonly #documents = new Map<string, string>();
  /** Documents that fail their checks until they are written again. */
  readonly #unreadable = new Set<string>();
  /** Set to make every method reject with it. */
  fail: CanopyError | undefined = undefined;
  /** Called before a commit takes effect and after it did; throw to act a crash. */
  onCommit: ((when: 'before' | 'after', commit: JournalCommit) => void) | undefined = undefined;

  /** Told of records that do not pass their checks when they are read; they are left out. */
  readonly #onCorrupt: (record: CorruptEntry) => void;

  constructor(clock: Clock, onCorrupt: (record: CorruptEntry) => void = () => {}) {
    this.#clock = clock;
    this.#onCorrupt = onCorrupt;
  }

  /** A deep copy: a backup that can be restored with `become`. */
  copy(): MemoryStore {
    const other = new MemoryStore(this.#clock);
    other.become(this);
    return other;
  }

  /** Takes over the content of another store, leases too; only what is kept under such names, where that is given. */
  become(other: MemoryStore, takes: (name: string) => boolean = () => true): void {
    for (const kept of [this.#journals, this.#leases, this.#documents]) {
      for (const name of kept.keys()) if (takes(name)) kept.delete(name as JournalRef);
    }
    for (const [ref, journal] of other.#journals) {
      if (!takes(ref)) continue;
      this.#journals.set(ref, copyOf(journal));
    }
    for (const [ref, lease] of other.#leases) if (takes(ref)) this.#leases.set(ref, { ...lease });
    for (const [name, text] of other.#documents) {
      if (!takes(name)) continue;
      this.#documents.set(name, text);
      if (other.#unreadable.has(name)) this.#unreadable.add(name);
      else this.#unreadable.delete(name);
    }
  }

  /** FLUSHALL. */
  wipe(): void {
    this.#journals.clear();
    this.#leases.clear();
    this.#documents.clear();
    this.#unreadable.clear();
  }

  /** What was committed last of a journal; undefined where nothing was. */
  position(ref: JournalRef): JournalPosition | undefined {
    return this.#journals.get(ref)?.position;
  }

  refs(): JournalRef[] {
    return [...this.#journals.keys()];
  }

  async journals(): Promise<JournalState[]> {
    this.#check();
    return [...this.#journals.keys()].map((ref) => this.#state(ref)!);
  }

  async journal(ref: JournalRef): Promise<JournalState | undefined> {
    this.#check();
    return this.#state(ref);
  }

  async acquireLease(ref: JournalRef, owner: string, ttl: DurationMs): Promise<LeaseOutcome> {
    this.#check();
    const now = this.#clock.now();
    const held = this.#leases.get(ref);
    if (held !== undefined && held.owner !== owner && held.until > now) {
      return {
        granted: false,
        heldBy: held.owner,
        expiresIn: (held.until - now) as DurationMs,
      };
    }
    const fence = held === undefined ? 1 : held.owner === owner ? held.fence : held.fence + 1;
    this.#leases.set(ref, { owner, fence, until: now + ttl });
    return { granted: true, lease: { journal: ref, owner, fence, ttl } };
  }

  /** As where leases live and die with the process that held them (the embedded store). */
  forgetLeases(): void {
    for (const held of this.#leases.values()) held.until = 0;
  }

  async releaseLease(lease: Lease): Promise<void> {
    this.#check();
    const held = this.#leases.get(lease.journal);
    if (held !== undefined && held.fence === lease.fence) held.until = 0;
  }

  async commit(commit: JournalCommit): Promise<CommitOutcome> {
    this.#check();
    this.onCommit?.('before', commit);
    const outcome = this.#commit(commit);
    this.onCommit?.('after', commit);
    return outcome;
  }

  #commit(commit: JournalCommit): CommitOutcome {
    const ref = commit.lease.journal;
    if (!this.#holds(commit.lease)) return { outcome: 'fenced' };
    const stored = this.#journals.get(ref);
    if (stored === undefined && commit.expected !== null) return { outcome: 'absent' };
    if (stored !== undefined) {
      const asExpected =
        commit.expected !== null && comparePositions(stored.position, commit.expected) === 0;
      if (!asExpected) {
        if (comparePositions(stored.position, commit.position) === 0) {
          return { outcome: 'already_applied' };
        }
        return { outcome: 'behind', state: this.#state(ref)! };
      }
    }
    const journal = stored ?? emptyJournal();
    for (const entry of commit.entries) {
      const copy = { ...entry, bytes: entry.bytes.slice() };
      journal.entries.push(copy);
      if (entry.kind === EntryKind.layout) journal.layouts.push(copy);
    }
    journal.position = { ...commit.position };
    journal.cursor = commit.cursor;
    journal.ledger = commit.ledger;
    this.#journals.set(ref, journal);
    this.#leases.get(ref)!.until = this.#clock.now() + commit.lease.ttl;
    return { outcome: 'applied' };
  }

  async readEntries(
    ref: JournalRef,
    after: JournalPosition,
    limits: ReadLimits,
  ): Promise<JournalEntry[]> {
    this.#check();
    const found: JournalEntry[] = [];
    let bytes = 0;
    const { entries } = this.#journals.get(ref) ?? { entries: [] };
    for (const [i, entry] of entries.entries()) {
      if (comparePositions(entry, after) <= 0) continue;
      bytes += entry.bytes.length;
      if (found.length > 0 && (bytes > limits.maxBytes || found.length >= limits.maxEntries)) break;
      found.push(isWhole(entry) ? entry : this.#gapInPlace(ref, entries, i));
    }
    return found;
  }

  #gapInPlace(ref: JournalRef, entries: readonly JournalEntry[], i: number): JournalEntry {
    const isFrame = (entry: JournalEntry): boolean =>
      entry.kind === EntryKind.frame && isWhole(entry);
    const before = entries.slice(0, i).findLast(isFrame);
    const after = entries.slice(i + 1).find(isFrame);
    const ledger = parseLedger(this.#journals.get(ref)?.ledger ?? '');
    const found = gapInPlace(entries[i], { before, after }, ledger);
    const place = `${entries[i].epoch}-${entries[i].sequence}`;
    this.#onCorrupt({ what: 'entry', journal: ref, place, gap: found.gap });
    return found.entry;
  }

  /** Flips a bit of a stored entry. */
  damage(ref: JournalRef, { epoch, sequence }: JournalPosition, spoil = withFlippedBit): void {
    const { entries } = this.#journals.get(ref) ?? { entries: [] };
    const at = entries.findIndex((entry) => entry.epoch === epoch && entry.sequence === sequence);
    // Layouts are kept a second time, and copies of the store hold the same bytes.
    if (at >= 0) entries[at] = spoil(entries[at]);
  }

  /** Damages the entry so many before the newest; returns its place, undefined where there is none. */
  damageAt(
    ref: JournalRef,
    back: number,
    spoil?: (entry: JournalEntry) => JournalEntry,
  ): JournalPosition | undefined {
    const entry = this.#journals.get(ref)?.entries.at(-1 - back);
    if (entry === undefined) return undefined;
    this.damage(ref, entry, spoil);
    return { epoch: entry.epoch, sequence: entry.sequence };
  }

  /** `damageJournal` of one of its journals. */
  damageAtRest(ref: JournalRef, what: AtRest, pick: Pick, spoil: Spoil): string | undefined {
    const journal = this.#journals.get(ref);
    return journal === undefined ? undefined : damageJournal(journal, what, pick, spoil);
  }

  /** Names of its documents. */
  documents(): string[] {
    return [...this.#documents.keys()];
  }

  /** From now on it fails its checks, until it is written again. */
  damageDocument(name: string): void {
    this.#unreadable.add(name);
  }

  async readLayouts(ref: JournalRef): Promise<JournalEntry[]> {
    this.#check();
    const kept = this.#journals.get(ref)?.layouts ?? [];
    const layouts = kept.filter((layout) => {
      if (isWhole(layout)) return true;
      const { epoch, group, sequence } = layout;
      this.#onCorrupt({
        ...{ what: 'layout', journal: ref, place: `${epoch}-${group}-${sequence}` },
        gap: { group, from: asTime(0), to: asTime(0), cause: 'corrupt', frames: -1 },
      });
      return false;
    });
    return layouts.sort(
      (a, b) => a.epoch - b.epoch || a.group - b.group || a.sequence - b.sequence,
    );
  }

  async dropLayouts(
    lease: Lease,
    groups: ReadonlyArray<{ epoch: Epoch; group: GroupId }>,
    cut: JournalPosition,
  ): Promise<void> {
    const journal = this.#held(lease);
    if (comparePositions(journal.trimmed, cut) < 0) throw fellBack('the journal is not cut so far');
    const gone = new Set(groups.map((g) => `${g.epoch}/${g.group}`));
    journal.layouts = journal.layouts.filter((l) => !gone.has(`${l.epoch}/${l.group}`));
  }

  async trimJournal(lease: Lease, upTo: JournalPosition, behind?: TileMeta): Promise<number> {
    const journal = this.#held(lease);
    if (behind !== undefined && !journal.tiles.has(tileKey(behind)))
      throw fellBack('a tile is gone');
    let freed = 0;
    journal.entries = journal.entries.filter((entry) => {
      const stays = comparePositions(entry, upTo) > 0;
      if (!stays) freed += entry.bytes.length;
      return stays;
    });
    const { position, trimmed } = journal;
    const reached = comparePositions(upTo, position) > 0 ? position : upTo;
    if (comparePositions(reached, trimmed) > 0) journal.trimmed = { ...reached };
    return freed;
  }

  async dropJournal(lease: Lease): Promise<void> {
    this.#held(lease);
    this.#journals.delete(lease.journal);
  }

  async putTiles(lease: Lease, tiles: readonly StoredTile[]): Promise<void> {
    const journal = this.#held(lease);
    for (const tile of tiles) journal.tiles.set(tileKey(tile.meta), tile);
  }

  async tiles(ref: JournalRef): Promise<TileMeta[]> {
    this.#check();
    return [...(this.#journals.get(ref)?.tiles.values() ?? [])].map((tile) => tile.meta);
  }

  async readTiles(
    ref: JournalRef,
    tiles: readonly TileMeta[],
  ): Promise<Array<Uint8Array | undefined>> {
    this.#check();
    return tiles.map((meta) => this.#journals.get(ref)?.tiles.get(tileKey(meta))?.bytes);
  }

  async dropTiles(lease: Lease, tiles: readonly TileMeta[]): Promise<void> {
    const journal = this.#held(lease);
    for (const meta of tiles) journal.tiles.delete(tileKey(meta));
  }

  async blocks(ref: JournalRef): Promise<BlockMeta[]> {
    this.#check();
    const { finished } = this.#journals.get(ref)?.blocks ?? emptyJournal().blocks;
    return [...finished.values()];
  }

  async nextBlock(lease: Lease): Promise<BlockId> {
    const { blocks } = this.#held(lease);
    for (const id of blocks.bytes.keys()) {
      if (!blocks.finished.has(id) && !blocks.gone.has(id)) blocks.bytes.delete(id);
    }
    return blocks.next;
  }

  async putBlockChunks(
    lease: Lease,
    block: BlockId,
    first: number,
    chunks: readonly Uint8Array[],
  ): Promise<void> {
    const { blocks } = this.#held(lease);
    if (block < blocks.next && (!blocks.bytes.has(block) || blocks.finished.has(block))) {
      throw new CanopyError('storage_unavailable', 'the block was finished or taken away');
    }
    const written = [...(blocks.bytes.get(block) ?? [])];
    if (written.length < first) throw fellBack('chunks are gone');
    blocks.next = block + 1;
    written.splice(first, chunks.length, ...chunks.map((chunk) => chunk.slice()));
    blocks.bytes.set(block, written);
  }

  /** Flips a bit of a block. */
  damageBlock(ref: JournalRef, block: BlockId, position: number): void {
    const chunk = Math.floor(position / BLOCK_CHUNK_BYTES);
    this.#journals.get(ref)!.blocks.bytes.get(block)![chunk][position % BLOCK_CHUNK_BYTES] ^= 1;
  }

  async finishBlock(lease: Lease, meta: BlockMeta, replaced: Replaced): Promise<void> {
    const { blocks, tiles } = this.#held(lease);
    if (blocks.finished.has(meta.id)) return;
    const chunks = Math.ceil((meta.tileBytes + meta.indexBytes) / BLOCK_CHUNK_BYTES);
    if (blocks.bytes.get(meta.id)?.length !== chunks) {
      throw new CanopyError('storage_unavailable', 'the block was not begun, or is not whole');
    }
    blocks.finished.set(meta.id, meta);
    for (const { id } of replaced.blocks) {
      blocks.finished.delete(id);
      blocks.gone.set(id, this.#clock.now());
    }
    for (const tile of replaced.tiles) tiles.delete(tileKey(tile));
  }

  async readBlocks(
    ref: JournalRef,
    pieces: readonly BlockPiece[],
  ): Promise<Array<Uint8Array | undefined>> {
    this.#check();
    return pieces.map(({ block, position, byteLength }) => {
      const chunks = this.#journals.get(ref)?.blocks.bytes.get(block);
      const bytes = chunks && Buffer.concat(chunks).subarray(position, position + byteLength);
      return bytes;
    });
  }

  async dropBlocks(lease: Lease, dropped: readonly BlockMeta[]): Promise<void> {
    const { blocks } = this.#held(lease);
    for (const { id } of dropped) {
      blocks.finished.delete(id);
      blocks.bytes.delete(id);
    }
  }

  async sweepBlocks(lease: Lease, grace: DurationMs): Promise<number> {
    const { blocks } = this.#held(lease);
    let freed = 0;
    for (const [id, since] of blocks.gone) {
      if (since > this.#clock.now() - grace) continue;
      for (const chunk of blocks.bytes.get(id) ?? []) freed += chunk.length;
      blocks.gone.delete(id);
      blocks.bytes.delete(id);
    }
    return freed;
  }

  async getDocument(name: string): Promise<string | undefined> {
    this.#check();
    if (this.#unreadable.has(name)) {
      this.#onCorrupt({ what: 'document', journal: null, place: name, gap: null });
      throw new CanopyError('storage_corrupt', `document ${name} is damaged`);
    }
    return this.#documents.get(name);
  }

  async putDocument(name: string, text: string | undefined): Promise<void> {
    this.#check();
    this.#unreadable.delete(name);
    if (text === undefined) this.#documents.delete(name);
    else this.#documents.set(name, text);
  }

  async usage(): Promise<StoreUsage> {
    this.#check();
    let usedBytes = 0;
    for (const [ref, { tiles, blocks }] of this.#journals) {
      for (const chunks of blocks.bytes.values())
        for (const { length } of chunks) usedBytes += length;
      usedBytes += this.#state(ref)!.entryBytes;
      for (const { bytes } of tiles.values()) usedBytes += bytes.length;
    }
    return { usedBytes, limitBytes: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #check(): void {
    if (this.fail !== undefined) throw this.fail;
  }

  #state(ref: JournalRef): JournalState | undefined {
    const journal = this.#journals.get(ref);
    if (journal === undefined) return undefined;
    const { position, trimmed, cursor, ledger } = journal;
    const entryBytes = journal.entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
    return { ref, position, trimmed, cursor, ledger, entryBytes };
  }

  /** Released ones are not held; expired ones are until another takes them. */
  #holds(lease: Lease): boolean {
    const held = this.#leases.get(lease.journal);
    return held !== undefined && held.fence === lease.fence && held.until > 0;
  }

  #held(lease: Lease): MemoryJournal {
    this.#check();
    const journal = this.#journals.get(lease.journal);
    if (journal === undefined) throw new CanopyError('not_found', 'no such journal');
    if (!this.#holds(lease)) throw new CanopyError('storage_unavailable', 'the lease is lost');
    return journal;
  }
}

/** As it is stored. */
export const ledgerOf = async (store: MemoryStore, ref: JournalRef): Promise<Ledger> =>
  JSON.parse((await store.journal(ref))!.ledger) as Ledger;
