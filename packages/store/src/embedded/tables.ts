/** The LMDB file: its tables, its atomic writes, its size. The only place that knows lmdb. */
import { statSync, statfsSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CanopyError, type Clock, asDuration, errorText } from '@canopy/model';
import { crc32c } from '@canopy/encoding';
import * as lmdb from 'lmdb';
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
/**
 * Kept free on the disk, or this part of it where that is less: lmdb 3.5 writes beyond a buffer of its own where the disk refuses a
 * page (`last_error` in its mdb.c), and mostly ends the process by that, so it is not let come to it.
 */
const DISK_RESERVE_BYTES = 16 * 1024 * 1024;
const DISK_RESERVE_PART = 1 / 20;
/** Of the reserve; below it nothing is deleted either, for that writes pages, too. */
const DELETION_PART = 1 / 4;

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
  /** Why the disk did not take the newest write; '' where it did. */
  refusal = '';
  readonly file: string;

  private constructor(file: string, root: lmdb.RootDatabase<Buffer, Uint8Array>, clock: Clock) {
    this.file = file;
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

  /** @throws CanopyError `storage_unavailable` where the file cannot be opened. */
  static open(file: string, maxBytes: number, clock: Clock, readOnly = false): Tables {
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
      return new Tables(file, root, clock);
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
      throw error;
    }
  }

  /** @throws CanopyError `storage_full` where neither the disk nor the file has room. */
  #checkDisk(addedBytes: number): void {
    const { bavail, blocks, bsize } = statfsSync(this.file);
    const reserve = Math.min(DISK_RESERVE_BYTES, blocks * bsize * DISK_RESERVE_PART);
    const kept = addedBytes > 0 ? reserve + addedBytes : reserve * DELETION_PART;
    const free = bavail * bsize;
    // Some file systems do not say.
    if (blocks === 0 || free >= kept || free + statSync(this.file).size - this.usedBytes() >= kept)
      return;
    this.refusal = `no room left on the disk: ${free} bytes are free, ${Math.ceil(kept)} are needed`;
    throw new CanopyError('storage_full', this.refusal);
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
