/** The LMDB file: its tables, its atomic writes, its size. The only place that knows lmdb. */
import { statSync } from 'node:fs';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CanopyError, type Clock, asDuration, errorText } from '@canopy/model';
import { crc32c } from '@canopy/encoding';
import * as lmdb from 'lmdb';
import { diskRoom, noRoom } from './disk-room.js';
import { Table, corruptFile } from './table.js';

export const TABLE_NAMES = [
  'entries',
  'layouts',
  'tiles',
  'tile-metas',
  'blocks',
  'block-chunks',
  'states',
  'leases',
  'documents',
  'format',
] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** Pages, keys and headers that a record costs besides its own bytes. */
export const RECORD_OVERHEAD_BYTES = 64;

/** Writes in one transaction; refused where `addedBytes` have no room, and `reserve` beyond the limit does not help. */
export type Write = (addedBytes: number, puts: () => void, reserve?: number) => Promise<void>;

/** A disk that does not finish a flush for this long does not answer. */
const FLUSH_TIMEOUT_MS = asDuration(60_000);
/** Copies of pages while a transaction rewrites them, and the list of free pages. */
const MAP_SLACK_BYTES = 64 * 1024 * 1024;
const PAGE_BYTES = 4096;
/** Written to a file of its own where the disk refused lmdb a page, before lmdb is let try again. */
const TRIAL = Buffer.alloc(256 * 1024);

interface TableStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** All tables of one file. Keys and values are bytes; values handed out are copies. */
export class Tables {
  readonly #root: lmdb.RootDatabase<Buffer, Uint8Array>;
  readonly #tables: ReadonlyMap<TableName, Table>;
  readonly #clock: Clock;
  #isHearing = false;
  /** The disk refused lmdb a page, maybe in a process before, which ended by that. */
  #isDoubtful: boolean;
  /** Why the disk did not take the newest write; '' where it did. */
  refusal = '';
  readonly file: string;

  private constructor(
    file: string,
    root: lmdb.RootDatabase<Buffer, Uint8Array>,
    clock: Clock,
    isDoubtful: boolean,
  ) {
    this.file = file;
    this.#isDoubtful = isDoubtful;
    this.#root = root;
    this.#clock = clock;
    this.#tables = new Map(
      TABLE_NAMES.map((name) => {
        const database = root.openDB<Buffer, Uint8Array>({ name, ...BINARY });
        // Tiles and index of a block have checksums, and a chunk fills whole pages.
        const seed = name === 'block-chunks' ? null : crc32c(Buffer.from(name));
        return [name, new Table(database, file, seed)];
      }),
    );
  }

  /** `isDoubtful`: the process before did not end well. @throws CanopyError `storage_unavailable` where the file cannot be opened. */
  static open(
    file: string,
    maxBytes: number,
    clock: Clock,
    { readOnly = false, isDoubtful = false } = {},
  ): Tables {
    const mapSize = Math.ceil((maxBytes * 1.25 + MAP_SLACK_BYTES) / PAGE_BYTES) * PAGE_BYTES;
    try {
      const root = lmdb.open<Buffer, Uint8Array>({
        ...BINARY,
        path: file,
        noSubdir: true,
        mapSize,
        readOnly,
        pageSize: PAGE_BYTES,
        maxDbs: TABLE_NAMES.length + 1,
      });
      return new Tables(file, root, clock, isDoubtful);
    } catch (error) {
      const reason = errorText(error);
      if (DAMAGED.test(reason)) throw corruptFile(file, reason);
      throw new CanopyError('storage_unavailable', `${file} cannot be opened: ${reason}`, {
        cause: error,
      });
    }
  }

  get(name: TableName): Table {
    return this.#tables.get(name)!;
  }

  /**
   * Runs `puts` (calls of put and remove on tables) as one transaction; resolves when it is on
   * disk. Writes queued in one turn of the event loop share a transaction and a flush. `addedBytes` 0: it deletes, or changes little.
   * @throws CanopyError `storage_full`, `storage_unavailable`; then nothing of it was written.
   */
  async write(puts: () => void, addedBytes = 0): Promise<void> {
    this.#checkDisk(addedBytes);
    if (this.#isDoubtful) await this.#tryDisk();
    const committed = this.#root.batch(puts);
    this.#hearOfTurn();
    // Asked for now: later writes have flushes of their own, which this one need not wait for.
    const flushed = new Promise<void>((resolve, reject) => {
      void this.#root.flushed.then(() => resolve(), reject);
    });
    flushed.catch(() => undefined);
    try {
      await committed.catch(async (error: unknown) => {
        throw await writeError(error, this.file);
      });
      await this.#within(flushed, 'the disk did not finish a flush');
      this.refusal = '';
    } catch (error) {
      this.refusal = errorText(error);
      this.#isDoubtful = true;
      throw error;
    }
  }

  /** @throws CanopyError `storage_full` where neither the disk nor the file has room. */
  #checkDisk(addedBytes: number): void {
    const { freeBytes, reserveBytes, deletionBytes } = diskRoom(this.file);
    const kept = addedBytes > 0 ? reserveBytes + addedBytes : deletionBytes;
    if (freeBytes >= kept || freeBytes + statSync(this.file).size - this.usedBytes() >= kept)
      return;
    this.refusal = noRoom(freeBytes, kept);
    throw new CanopyError('storage_full', this.refusal);
  }

  /**
   * A quota, a damaged disk or one that was set to read only shows by refusing alone: each refusal may end the process
   * (disk-room.ts), so lmdb is not what tries whether it is over. @throws CanopyError `storage_full`, `storage_unavailable`.
   */
  async #tryDisk(): Promise<void> {
    const trial = `${this.file}-trial`;
    try {
      await writeFile(trial, TRIAL, { flush: true });
      this.#isDoubtful = false;
    } catch (error) {
      const refused = await writeError(error, this.file);
      this.refusal = refused.message;
      throw refused;
    } finally {
      await rm(trial, { force: true }).catch(() => undefined);
    }
  }

  /**
   * All writes of a turn hang on one of lmdb's own, made in an immediate that is queued by now. Its promise is rejected, too, where
   * the disk refuses: unless somebody hears of it that ends the process.
   */
  #hearOfTurn(): void {
    if (this.#isHearing) return;
    this.#isHearing = true;
    setImmediate(() => {
      this.#isHearing = false;
      const ignore = (): void => {};
      this.#root.committed.then(ignore, ignore);
    });
  }

  /**
   * Copies what is committed to a file of the same name in another folder, which is made; writes go on meanwhile.
   * @throws CanopyError `storage_unavailable` where it cannot be written.
   */
  async copyTo(folder: string): Promise<void> {
    try {
      await mkdir(folder, { recursive: true });
      await this.#root.backup(join(folder, basename(this.file)), true);
    } catch (error) {
      const text = `the copy in ${folder} cannot be written: ${errorText(error)}`;
      throw new CanopyError('storage_unavailable', text, { cause: error });
    }
  }

  /** Bytes of pages in use; free pages inside the file do not count. */
  usedBytes(): number {
    const rootStats = this.#root.getStats() as TableStats & { root: TableStats; free: TableStats };
    let bytes = pagesBytes(rootStats.root) + pagesBytes(rootStats.free);
    for (const table of this.#tables.values()) bytes += pagesBytes(table.stats() as TableStats);
    return bytes;
  }

  /** Differs between a file and its copy. */
  async identity(): Promise<string> {
    const { ino, birthtimeMs } = await stat(this.file);
    return `${ino}-${Math.round(birthtimeMs)}`;
  }

  async close(): Promise<void> {
    await this.#within(this.#root.close(), 'the disk did not finish the last flush');
  }

  async #within(done: Promise<void>, complaint: string): Promise<void> {
    let timer: { cancel(): void } | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = this.#clock.after(FLUSH_TIMEOUT_MS, () => {
        reject(new CanopyError('storage_unavailable', complaint));
      });
    });
    try {
      await Promise.race([done, late]);
    } finally {
      timer?.cancel();
    }
  }
}

const BINARY = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;

const DAMAGED = /page \d+ not found|MDB_(PAGE_NOTFOUND|CORRUPTED|INVALID|BAD_TXN|CURSOR_FULL)/;

function pagesBytes(stats: TableStats): number {
  const pages = stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
  return pages * stats.pageSize;
}

/** LMDB's reason lies in a promise of its own, which is rejected in the same turn. */
async function writeError(error: unknown, file: string): Promise<CanopyError> {
  const { commitError } = error as { commitError?: Promise<unknown> };
  const nextTurn = new Promise<string>((resolve) => setImmediate(() => resolve(errorText(error))));
  const inner = commitError?.then(errorText, errorText);
  const reason = inner === undefined ? errorText(error) : await Promise.race([inner, nextTurn]);
  if (DAMAGED.test(reason)) return corruptFile(file, reason);
  const full = /MDB_MAP_FULL|ENOSPC|EDQUOT|no space|quota|mapsize/i.test(reason);
  return new CanopyError(
    full ? 'storage_full' : 'storage_unavailable',
    full ? `no room left on the disk: ${reason}` : `the disk does not take writes: ${reason}`,
    { cause: error },
  );
}
