import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CanopyError } from '@canopy/model';
import { type EmbeddedStore, type EmbeddedStoreOptions, LmdbStore } from './embedded-store.js';
import { Tables } from './tables.js';
import { checkFormat } from './whole.js';

/** Address space for what the writer adds meanwhile. */
const MAP_BYTES = 64 * 1024 ** 3;

/**
 * A look at the store in a folder, beside the process that uses it: what was there when it was opened; writes are
 * refused, and what was cut or dropped since is missing. The caller disposes of it.
 * @throws CanopyError `storage_unavailable` where there is no store; `storage_unsuitable`, `storage_corrupt`.
 */
export async function openEmbeddedReader(
  options: Omit<EmbeddedStoreOptions, 'maxBytes'>,
): Promise<EmbeddedStore> {
  const { path, clock } = options;
  const file = join(path, 'store.mdb');
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) {
    throw new CanopyError('storage_unavailable', `there is no store in ${path}`);
  }
  // Room for what the writer adds meanwhile; address space only.
  const tables = Tables.open(file, Math.max(MAP_BYTES, 2 * found.size), clock, { readOnly: true });
  checkFormat(tables);
  return new LmdbStore({ ...options, maxBytes: 0 }, tables, null, await tables.identity());
}
