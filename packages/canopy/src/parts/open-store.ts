/**
 * The store of a process: Redis where `--store` says so, else embedded in the storage path.
 */
import { readFile } from 'node:fs/promises';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  asDuration,
  errorText,
  sleep,
} from '@canopy/model';
import {
  type CorruptRecord,
  type EmbeddedStore,
  type RedisTls,
  type ReportingStore,
  VolatileMark,
  VolatileStore,
  openEmbeddedReader,
  openEmbeddedStore,
  openRedisStore,
} from '@canopy/store';
import type { RedisSettings, Settings } from '../cli/settings.js';
import type { Log } from '../log.js';
import type { OpenedStore } from './world.js';

/** Who reads a store for people does not wait longer for it to answer. */
const READ_WITHIN_MS = 15_000;
const REDIS_COMMAND_TIMEOUT = 5000 as DurationMs;
/** Of a leaf's journal while its disk takes no writes: hours of 100,000 series at 5 s. */
const VOLATILE_BYTES = 256 * 1024 * 1024;
/** Streams are cut into slices below this, so that old ones go by UNLINK. */
const REDIS_SLICE_BYTES = 64 * 1024 * 1024;

/** @throws CanopyError `storage_locked`, `storage_unsuitable`, `storage_unavailable`. */
export async function openStore(
  settings: Settings,
  clock: Clock,
  log: Log,
  onCorrupt: (record: CorruptRecord) => void,
): Promise<OpenedStore> {
  if (settings.storeUrl === undefined) return openFolder(settings, clock, log, onCorrupt);
  const store = await openRedisStore({
    url: settings.storeUrl,
    tls: await readTls(settings.redis),
    waitReplicas: settings.redis.waitReplicas,
    waitTimeout: settings.redis.waitTimeout,
    keyPrefix: 'canopy:',
    clock,
    commandTimeout: REDIS_COMMAND_TIMEOUT,
    sliceBytesMax: REDIS_SLICE_BYTES,
    log,
    onCorrupt,
  });
  return { store, pathIdentity: '' };
}

/** What a parent has not stored it pulls again: it waits for its disk, and its leaves go on. */
async function openFolder(
  { storagePath: path, storageMaxBytes: maxBytes, role }: Settings,
  clock: Clock,
  log: Log,
  onCorrupt: (record: CorruptRecord) => void,
): Promise<OpenedStore> {
  const open = () => openEmbeddedStore({ path, maxBytes, clock, log, onCorrupt });
  const backup = (store: EmbeddedStore) => (folder: string) => store.backup(folder);
  if (role !== 'leaf') {
    const store = await open();
    return { store, pathIdentity: store.identity, backup: backup(store) };
  }
  const mark = await VolatileMark.look(path);
  const tailBytesMax = VOLATILE_BYTES;
  const volatile = await VolatileStore.open({ open, path, mark, tailBytesMax, clock, log });
  const { identity } = volatile;
  return { store: volatile, pathIdentity: identity, backup: backup(volatile), volatile };
}

/** Reads only, beside a process that uses the store; the caller disposes of it. */
export async function openToRead(settings: Settings, clock: Clock): Promise<ReportingStore> {
  const log = (): void => {};
  if (settings.storeUrl === undefined) {
    const path = settings.storagePath;
    return openEmbeddedReader({ path, clock, log, onCorrupt: () => {} });
  }
  const { store } = await openStore(settings, clock, log, () => {});
  const late = AbortSignal.timeout(READ_WITHIN_MS);
  try {
    await storeAnswers(store, clock, log, late);
    return store;
  } catch (error) {
    const { message } = store.health;
    await store[Symbol.asyncDispose]();
    if (!late.aborted) throw error;
    throw new CanopyError('storage_unavailable', `the store does not answer: ${message}`);
  }
}

/** Undefined where nothing of it is given. */
async function readTls(redis: RedisSettings): Promise<RedisTls | undefined> {
  const { tlsCaFile, tlsCertFile, tlsKeyFile, tlsServerName } = redis;
  if ((tlsCaFile ?? tlsCertFile ?? tlsServerName) === undefined) return undefined;
  const read = async (flag: string, path: string | undefined): Promise<string | undefined> => {
    if (path === undefined) return undefined;
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      const text = `--store.redis.${flag}: ${errorText(error)}`;
      throw new CanopyError('config_invalid', text);
    }
  };
  return {
    ca: await read('tls-ca-file', tlsCaFile),
    cert: await read('tls-cert-file', tlsCertFile),
    key: await read('tls-key-file', tlsKeyFile),
    serverName: tlsServerName,
  };
}

/** Resolves when the store answers; tries again every second until then. */
export async function storeAnswers(
  store: ReportingStore,
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 0; !signal.aborted; tries++) {
    try {
      await store.journals();
      return;
    } catch (error) {
      if (!(error instanceof CanopyError) || error.code !== 'storage_unavailable') throw error;
      if (tries % 10 === 0)
        log('warn', 'the store does not answer yet; trying again every second', {
          error: error.message,
        });
    }
    await sleep(clock, asDuration(1000), signal);
  }
  throw signal.reason;
}
