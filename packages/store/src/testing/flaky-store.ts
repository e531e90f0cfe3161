import type {
  BlockId,
  BlockMeta,
  BlockPiece,
  CommitOutcome,
  DurationMs,
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
  StoreUsage,
  StoredTile,
  TileMeta,
} from '@canopy/model';

/** A Store in front of another, whose commits a test can make fail before or after they are done. */
export class FlakyStore implements Store {
  readonly #store: Store;
  /** Thrown instead of committing. */
  failBefore: Error | undefined;
  /** Thrown after committing: the outcome is lost on its way. */
  failAfter: Error | undefined;
  /** Thrown instead of saying how far a journal is. */
  failState: Error | undefined;
  /** Awaited before each commit. */
  hold: Promise<void> | undefined;
  /** Commits asked for. */
  commits: JournalCommit[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  get kind(): 'embedded' | 'redis' {
    return this.#store.kind;
  }

  async commit(commit: JournalCommit): Promise<CommitOutcome> {
    this.commits.push(commit);
    await this.hold;
    if (this.failBefore !== undefined) throw this.failBefore;
    const outcome = await this.#store.commit(commit);
    if (this.failAfter !== undefined) throw this.failAfter;
    return outcome;
  }

  journals(): Promise<JournalState[]> {
    return this.#store.journals();
  }
  async journal(ref: JournalRef): Promise<JournalState | undefined> {
    if (this.failState !== undefined) throw this.failState;
    return this.#store.journal(ref);
  }
  acquireLease(ref: JournalRef, owner: string, ttl: DurationMs): Promise<LeaseOutcome> {
    return this.#store.acquireLease(ref, owner, ttl);
  }
  releaseLease(lease: Lease): Promise<void> {
    return this.#store.releaseLease(lease);
  }
  readEntries(
    ref: JournalRef,
    after: JournalPosition,
    limits: ReadLimits,
  ): Promise<JournalEntry[]> {
    return this.#store.readEntries(ref, after, limits);
  }
  readLayouts(ref: JournalRef): Promise<JournalEntry[]> {
    return this.#store.readLayouts(ref);
  }
  dropLayouts(...args: Parameters<Store['dropLayouts']>): Promise<void> {
    return this.#store.dropLayouts(...args);
  }
  trimJournal(...args: Parameters<Store['trimJournal']>): Promise<number> {
    return this.#store.trimJournal(...args);
  }
  dropJournal(lease: Lease): Promise<void> {
    return this.#store.dropJournal(lease);
  }
  putTiles(lease: Lease, tiles: readonly StoredTile[]): Promise<void> {
    return this.#store.putTiles(lease, tiles);
  }
  tiles(ref: JournalRef): Promise<TileMeta[]> {
    return this.#store.tiles(ref);
  }
  readTiles(...args: Parameters<Store['readTiles']>): Promise<Array<Uint8Array | undefined>> {
    return this.#store.readTiles(...args);
  }
  dropTiles(lease: Lease, tiles: readonly TileMeta[]): Promise<void> {
    return this.#store.dropTiles(lease, tiles);
  }
  blocks(ref: JournalRef): Promise<BlockMeta[]> {
    return this.#store.blocks(ref);
  }
  nextBlock(lease: Lease): Promise<BlockId> {
    return this.#store.nextBlock(lease);
  }
  putBlockChunks(
    lease: Lease,
    block: BlockId,
    first: number,
    chunks: readonly Uint8Array[],
  ): Promise<void> {
    return this.#store.putBlockChunks(lease, block, first, chunks);
  }
  finishBlock(lease: Lease, meta: BlockMeta, replaced: Replaced): Promise<void> {
    return this.#store.finishBlock(lease, meta, replaced);
  }
  readBlocks(
    ref: JournalRef,
    pieces: readonly BlockPiece[],
  ): Promise<Array<Uint8Array | undefined>> {
    return this.#store.readBlocks(ref, pieces);
  }
  dropBlocks(lease: Lease, blocks: readonly BlockMeta[]): Promise<void> {
    return this.#store.dropBlocks(lease, blocks);
  }
  sweepBlocks(lease: Lease, grace: DurationMs): Promise<number> {
    return this.#store.sweepBlocks(lease, grace);
  }
  getDocument(name: string): Promise<string | undefined> {
    return this.#store.getDocument(name);
  }
  putDocument(name: string, text: string | undefined): Promise<void> {
    return this.#store.putDocument(name, text);
  }
  usage(): Promise<StoreUsage> {
    return this.#store.usage();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}
