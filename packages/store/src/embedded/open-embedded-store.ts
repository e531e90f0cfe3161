/** The way into a folder: lock, trial, room, version. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CanopyError, errorText } from '@canopy/model';
import { diskRoom, noRoom } from './disk-room.js';
import { type EmbeddedStore, type EmbeddedStoreOptions, LmdbStore } from './embedded-store.js';
import { type FolderLock, lockFolder } from './folder-lock.js';
import { Tables } from './tables.js';
import { tryToRead } from './trial-read.js';
import { checkFormat, writeFormat } from './whole.js';

/**
 * Opens the store in a folder and locks the folder; the caller disposes of it.
 * @throws CanopyError `storage_locked`, `storage_unavailable` (the folder cannot be used), `storage_full` (no room to make it),
 * `storage_corrupt`, `storage_unsuitable` (of another version).
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
  const { path, clock, log } = options;
  let store: LmdbStore | undefined;
  let lock: FolderLock;
  try {
    await mkdir(path, { recursive: true });
    lock = await lockFolder(path, clock, log, () => store?.loseFolder());
  } catch (error) {
    if (error instanceof CanopyError) throw error;
    const text = `the folder ${path} cannot be used: ${errorText(error)}`;
    const isFull = /ENOSPC|EDQUOT/.test((error as NodeJS.ErrnoException).code ?? '');
    const code = isFull ? 'storage_full' : 'storage_unavailable';
    throw new CanopyError(code, text, { cause: error });
  }
  let tables: Tables | undefined;
  try {
    const file = join(path, 'store.mdb');
    await tryToRead(file, clock, lock.lastedMs, log);
    checkNewFile(file);
    const isDoubtful = lock.lastedMs !== undefined;
    tables = Tables.open(file, options.maxBytes, clock, { isDoubtful });
    if (!checkFormat(tables)) await writeFormat(tables);
    store = new LmdbStore(options, tables, lock, await tables.identity());
    return store;
  } catch (error) {
    await tables?.close();
    await lock.release();
    throw error;
  }
}

/** A page of a mapped file that the disk has no room for ends the process. @throws CanopyError `storage_full`, `storage_unavailable`. */
function checkNewFile(file: string): void {
  const isThere = existsSync(file);
  if (isThere && existsSync(`${file}-lock`)) return;
  const { freeBytes, reserveBytes } = diskRoom(dirname(file));
  if (freeBytes >= reserveBytes) return;
  // A journal that is there must be gone on with: only where there is none can another begin.
  const code = isThere ? 'storage_unavailable' : 'storage_full';
  throw new CanopyError(code, noRoom(freeBytes, reserveBytes));
}
