import {
  type BlockId,
  type BlockMeta,
  type BlockPiece,
  CanopyError,
  type CommitOutcome,
  type DurationMs,
  type Epoch,
  EntryKind,
  type GroupId,
  JOURNAL_START,
  type JournalCommit,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Lease,
  type LeaseOutcome,
  type ReadLimits,
  type Replaced,
  type StoreUsage,
  type StoredTile,
  type TileMeta,
  asDuration,
  invariant,
  isJournalRef,
  tileWindow,
} from '@canopy/model';
import { checkCommit, fellBack, leaseLost } from '../commit.js';
import type { CorruptRecord, ReportingStore, StoreHealth } from '../health.js';
import { sealText, unsealText } from '../seal.js';
import { RedisBlocks } from './blocks.js';
import { type ConnectionOptions, RedisConnection } from './connection.js';
import { FORM_MEMBER, checkForm } from './form.js';
import { RedisKeys, formatPosition, parseField, tileField } from './keys.js';
import type { Commands } from './link.js';
import { RedisReader } from './reader.js';
import { RedisTiles } from './tiles.js';
import {
  type RunScript,
  type ScriptArgument,
  type ScriptName,
  type Scripts,
  asBuffer,
  commandsOf,
  readScripts,
  runWrite,
  scriptForms,
} from './scripts.js';
import { type Slice, damagedJournal, planTrim, sortedSlices } from './slices.js';
import { STATE_FIELDS, parseState, sealTrimmed, stateCheck } from './state.js';

export interface RedisStoreOptions extends ConnectionOptions {
  /** Before every key, for example `canopy:`. */
  readonly keyPrefix: string;
  /** A journal's stream is cut into slices of about this size. */
  readonly sliceBytesMax: number;
  readonly onCorrupt: (record: CorruptRecord) => void;
}

export interface RedisStore extends ReportingStore {
  readonly kind: 'redis';
}

/**
 * Resolves also where Redis does not answer yet: `health` says so and the store connects by itself.
 * @throws CanopyError `storage_unsuitable` where a Redis answers that cannot be used.
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<RedisStore> {
  const scripts = await readScripts();
  const [{ lua }, key] = [scripts.get('allowed')!, new RedisKeys(options.keyPrefix).journals()];
  const connection = new RedisConnection(options, { lua, key, commands: commandsOf(scripts) });
  await connection.open();
  const store = new StreamStore(options, connection, scripts);
  try {
    if (store.health.healthy) await store.checkForm();
  } catch (error) {
    if (!(error instanceof CanopyError) || error.code === 'storage_unavailable') return store;
    await connection.close();
    throw error;
  }
  return store;
}

/** A slice also ends by age, so that what is old can be dropped whole. */
const SLICE_AGE_MS = 3_600_000;
/** Fields in one script: a script stops the server for others. */
const SCRIPT_ITEMS = 200;
/** Another writer of the journal would have to roll its slice each time in between. */
const SLICE_TRIES_MAX = 5;

class StreamStore implements RedisStore {
  readonly kind = 'redis';
  readonly #options: RedisStoreOptions;
  readonly #connection: RedisConnection;
  readonly #scripts: Scripts;
  readonly #keys: RedisKeys;
  readonly #reader: RedisReader;
  readonly #tiles: RedisTiles;
  readonly #blocks: RedisBlocks;
  /** The slice each journal was at when last heard; a guess, the script checks it. */
  readonly #slices = new Map<JournalRef, number>();
  /** Those that this process has put on the list; a lease that is taken anew is listed again. */
  readonly #listed = new Set<JournalRef>();
  /** The form of what is there is ours: nobody is written to before. */
  #isFormKnown = false;

  constructor(options: RedisStoreOptions, connection: RedisConnection, scripts: Scripts) {
    this.#options = options;
    this.#connection = connection;
    this.#scripts = scripts;
    this.#keys = new RedisKeys(options.keyPrefix);
    this.#reader = new RedisReader(
      connection,
      this.#keys,
      async (ref) => (await this.journal(ref))?.ledger ?? '',
      options.onCorrupt,
    );
    const run: RunScript = (name, keys, args) => this.#run(name, keys, args);
    this.#tiles = new RedisTiles(connection, this.#keys, run, options.onCorrupt);
    this.#blocks = new RedisBlocks(connection, this.#keys, run, options.onCorrupt);
  }

  get health(): StoreHealth {
    return this.#connection.health;
  }

  async journals(): Promise<JournalState[]> {
    const refs = (await this.checkForm()).filter(isJournalRef);
    // In a cluster the list can be lost where the journals are not.
    for (const ref of this.#listed) if (!refs.includes(ref)) await this.#list(ref);
    const states = await Promise.all(refs.map((ref) => this.#journalIfWhole(ref)));
    return states.filter((state) => state !== undefined);
  }

  /** Members of the set of journals. @throws CanopyError `storage_unsuitable` for another form of keys or values. */
  async checkForm(): Promise<string[]> {
    const key = this.#keys.journals();
    const members = await this.#connection.run((client) => client.smembers(key), key);
    checkForm(key, members);
    this.#isFormKnown = true;
    return members;
  }

  /** One journal that is damaged does not keep the others from being read; whoever asks for it is told. */
  async #journalIfWhole(ref: JournalRef): Promise<JournalState | undefined> {
    try {
      return await this.journal(ref);
    } catch (error) {
      if (!(error instanceof CanopyError) || error.code !== 'storage_corrupt') throw error;
      this.#options.log('error', error.message, { journal: ref });
      return undefined;
    }
  }

  async journal(ref: JournalRef): Promise<JournalState | undefined> {
    const key = this.#keys.state(ref);
    const slicesKey = this.#keys.slices(ref);
    const [fields, slices] = await this.#connection.run(
      (client) => Promise.all([client.hmget(key, ...STATE_FIELDS), client.hgetall(slicesKey)]),
      key,
    );
    if (fields[0] === null) return undefined;
    sortedSlices(slicesKey, slices);
    return parseState(ref, key, fields);
  }

  async acquireLease(ref: JournalRef, owner: string, ttl: DurationMs): Promise<LeaseOutcome> {
    if (!this.#isFormKnown) await this.checkForm();
    const key = this.#keys.lease(ref);
    const reply = (await this.#run('lease', [key], [owner, Math.ceil(ttl)])) as [
      number,
      number | string,
      number,
    ];
    if (reply[0] === -1) {
      const text = `${key} in Redis is damaged. UNLINK it: the lease is then taken anew`;
      throw new CanopyError('storage_corrupt', text);
    }
    if (reply[0] === 1) {
      // One that was held before is listed, or its holder lists it with its first renewal.
      if (reply[2] === 1 || !this.#listed.has(ref)) await this.#list(ref);
      return { granted: true, lease: { journal: ref, owner, fence: Number(reply[1]), ttl } };
    }
    return { granted: false, heldBy: String(reply[1]), expiresIn: asDuration(Number(reply[2])) };
  }

  /** Out of memory a journal that is there stays listed, and a new one could not be written anyway. */
  async #list(ref: JournalRef): Promise<void> {
    const key = this.#keys.journals();
    try {
      await this.#connection.run((client) => client.sadd(key, ref, FORM_MEMBER), key);
      this.#listed.add(ref);
    } catch (error) {
      if (!(error instanceof CanopyError) || error.code !== 'storage_full') throw error;
    }
  }

  async releaseLease(lease: Lease): Promise<void> {
    await this.#run('release', [this.#keys.lease(lease.journal)], leaseArguments(lease));
  }

  async commit(commit: JournalCommit): Promise<CommitOutcome> {
    checkCommit(commit);
    const ref = commit.lease.journal;
    for (let tries = 0; tries < SLICE_TRIES_MAX; tries++) {
      const slice = this.#slices.get(ref) ?? 1;
      const reply = await this.#commitOnce(commit, slice);
      const outcome = reply[0];
      if (outcome === 'slice') {
        this.#slices.set(ref, Number(reply[1]));
      } else if (outcome === 'damaged') {
        throw damagedJournal(this.#keys.state(ref), String(reply[1]));
      } else if (outcome === 'behind') {
        return { outcome, state: parseState(ref, this.#keys.state(ref), reply.slice(1)) };
      } else {
        invariant(isPlainOutcome(outcome), 'BUG: commit.lua answered something else');
        return { outcome };
      }
    }
    throw leaseLost(ref);
  }

  readEntries(
    ref: JournalRef,
    after: JournalPosition,
    limits: ReadLimits,
  ): Promise<JournalEntry[]> {
    return this.#reader.readEntries(ref, after, limits);
  }

  readLayouts(ref: JournalRef): Promise<JournalEntry[]> {
    return this.#reader.readLayouts(ref);
  }

  async dropLayouts(
    lease: Lease,
    groups: ReadonlyArray<{ epoch: Epoch; group: GroupId }>,
    cut: JournalPosition,
  ): Promise<void> {
    const { journal } = lease;
    const [layouts, state] = [this.#keys.layouts(journal), this.#keys.state(journal)];
    const keys = [this.#keys.lease(journal), layouts, state];
    const gone = new Set(groups.map(({ epoch, group }) => `${epoch}-${group}`));
    const fields = await this.#connection.run((client) => client.hkeys(layouts), layouts);
    const dropped = fields.filter((field) => gone.has(parseField(field).slice(0, 2).join('-')));
    for (let from = 0; from === 0 || from < dropped.length; from += SCRIPT_ITEMS) {
      const some = dropped.slice(from, from + SCRIPT_ITEMS);
      const args = [...leaseArguments(lease), formatPosition(cut), ...some];
      const reply = await this.#run('layouts_drop', keys, args);
      if (reply === -1) throw leaseLost(journal);
      if (reply === -2) throw fellBack(journal, `the cut at ${formatPosition(cut)}`);
    }
  }

  /** The result is exact for whole slices, in proportion to the number of entries for a part of one. */
  async trimJournal(lease: Lease, upTo: JournalPosition, behind?: TileMeta): Promise<number> {
    const { journal } = lease;
    const state = await this.journal(journal);
    const slices = await this.#readSlices(journal);
    if (state === undefined) return 0;
    const window = behind && this.#keys.extents(journal, tileWindow(behind));
    let freed = 0;
    for (const { slice, limit, firstKept } of planTrim(slices, state, upTo)) {
      const keys = [
        this.#keys.state(journal),
        this.#keys.lease(journal),
        this.#keys.slices(journal),
        this.#keys.entries(journal, slice),
        ...(window === undefined ? [] : [window]),
      ];
      const args = [
        ...leaseArguments(lease),
        sealTrimmed(keys[0], formatPosition(limit)),
        firstKept,
        slice,
        ...(behind === undefined ? [] : [tileField(behind)]),
      ];
      const reply = Number(await this.#run('trim', keys, args));
      if (reply === -1) throw leaseLost(journal);
      if (reply === -2) throw damagedJournal(keys[2], String(slice));
      if (reply === -3) throw fellBack(journal, `tile ${tileField(behind!)}`);
      freed += reply;
    }
    return freed;
  }

  async dropJournal(lease: Lease): Promise<void> {
    const { journal } = lease;
    await this.#blocks.dropAll(lease);
    await this.dropTiles(lease, await this.tiles(journal));
    const slices = await this.#readSlices(journal);
    const keys = [
      this.#keys.lease(journal),
      this.#keys.state(journal),
      this.#keys.slices(journal),
      this.#keys.layouts(journal),
      this.#keys.windows(journal),
      this.#keys.blocks(journal),
      ...slices.map(({ slice }) => this.#keys.entries(journal, slice)),
    ];
    const reply = await this.#run('journal_drop', keys, leaseArguments(lease));
    if (reply === -1) throw leaseLost(journal);
    this.#slices.delete(journal);
    this.#listed.delete(journal);
    const list = this.#keys.journals();
    await this.#connection.run((client) => client.srem(list, journal), list);
  }

  putTiles(lease: Lease, tiles: readonly StoredTile[]): Promise<void> {
    return this.#tiles.put(lease, tiles);
  }

  tiles(ref: JournalRef): Promise<TileMeta[]> {
    return this.#tiles.list(ref);
  }

  readTiles(ref: JournalRef, tiles: readonly TileMeta[]): Promise<Array<Uint8Array | undefined>> {
    return this.#tiles.read(ref, tiles);
  }

  dropTiles(lease: Lease, tiles: readonly TileMeta[]): Promise<void> {
    return this.#tiles.drop(lease, tiles);
  }

  blocks(ref: JournalRef): Promise<BlockMeta[]> {
    return this.#blocks.list(ref);
  }

  nextBlock(lease: Lease): Promise<BlockId> {
    return this.#blocks.next(lease);
  }

  putBlockChunks(
    lease: Lease,
    block: BlockId,
    first: number,
    chunks: readonly Uint8Array[],
  ): Promise<void> {
    return this.#blocks.put(lease, block, first, chunks);
  }

  finishBlock(lease: Lease, meta: BlockMeta, replaced: Replaced): Promise<void> {
    return this.#blocks.finish(lease, meta, replaced);
  }

  readBlocks(
    ref: JournalRef,
    pieces: readonly BlockPiece[],
  ): Promise<Array<Uint8Array | undefined>> {
    return this.#blocks.read(ref, pieces);
  }

  dropBlocks(lease: Lease, blocks: readonly BlockMeta[]): Promise<void> {
    return this.#blocks.drop(lease, blocks);
  }

  sweepBlocks(lease: Lease, grace: DurationMs): Promise<number> {
    return this.#blocks.sweep(lease, grace);
  }

  async getDocument(name: string): Promise<string | undefined> {
    const key = this.#keys.document(name);
    const sealed = await this.#connection.run((client) => client.get(key), key);
    if (sealed === null) return undefined;
    const text = unsealText(key, sealed);
    if (text !== undefined) return text;
    const what = `${key} in Redis is damaged. Restore a copy, or UNLINK it: it is then made anew`;
    const record = { journal: null, what: 'document', gap: null } as const;
    this.#options.onCorrupt({ ...record, place: name, message: what });
    throw new CanopyError('storage_corrupt', what);
  }

  async putDocument(name: string, text: string | undefined): Promise<void> {
    const key = this.#keys.document(name);
    const write = (client: Commands): Promise<unknown> =>
      text === undefined ? client.unlink(key) : client.set(key, sealText(key, text));
    await this.#connection.runWaited({ short: write, whole: write }, key);
  }

  usage(): Promise<StoreUsage> {
    return this.#connection.memory();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection.close();
  }

  async #commitOnce(commit: JournalCommit, slice: number): Promise<Array<string | null>> {
    const { lease, expected, position, entries, cursor, ledger } = commit;
    const ref = lease.journal;
    const keys = [
      this.#keys.state(ref),
      this.#keys.lease(ref),
      this.#keys.slices(ref),
      this.#keys.layouts(ref),
      this.#keys.entries(ref, slice),
      this.#keys.entries(ref, slice + 1),
    ];
    const args: ScriptArgument[] = [
      ...leaseArguments(lease),
      expected === null ? '' : formatPosition(expected),
      formatPosition(position),
      cursor,
      ledger,
      slice,
      this.#options.sliceBytesMax,
      SLICE_AGE_MS,
      sealTrimmed(keys[0], formatPosition(JOURNAL_START)),
      this.#options.waitReplicas > 0 ? 1 : 0,
      stateCheck(keys[0], formatPosition(position), cursor, ledger),
      Math.ceil(lease.ttl),
    ];
    for (const { epoch, sequence, kind, group, bytes } of entries) {
      const field = kind === EntryKind.layout ? `${epoch}-${group}-${sequence}` : '';
      args.push(`${epoch}-${sequence}`, field, group, asBuffer(bytes));
    }
    const forms = scriptForms(this.#scripts.get('commit')!, keys, args);
    const reply = await this.#connection.runWaited(forms, keys[0]);
    return (reply as Array<string | number | null>).map((part) =>
      part === null ? null : String(part),
    );
  }

  async #readSlices(ref: JournalRef): Promise<Slice[]> {
    const key = this.#keys.slices(ref);
    return sortedSlices(key, await this.#connection.run((client) => client.hgetall(key), key));
  }

  #run(
    name: ScriptName,
    keys: readonly string[],
    args: readonly ScriptArgument[],
  ): Promise<unknown> {
    const forms = scriptForms(this.#scripts.get(name)!, keys, args);
    return this.#connection.run((client) => runWrite(client, forms), keys[0]);
  }
}

type PlainOutcome = 'applied' | 'already_applied' | 'absent' | 'fenced';

function isPlainOutcome(text: string | null): text is PlainOutcome {
  return text === 'applied' || text === 'already_applied' || text === 'absent' || text === 'fenced';
}

function leaseArguments(lease: Lease): [owner: string, fence: number] {
  return [lease.owner, lease.fence];
}
