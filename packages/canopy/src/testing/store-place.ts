/** Stores as property tests need them: they fail at times, and go back to what they were. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryStore } from '@canopy/federation/testing';
import { CanopyError, type Clock, type Store } from '@canopy/model';
import { openEmbeddedStore, openRedisStore } from '@canopy/store';
import { redisOptions, startRedis } from '@canopy/store/testing';
import { systemClock } from '../clock.js';

export interface StorePlace extends AsyncDisposable {
  /** Another one after `fallBack`, where `reopens`. */
  store(): Store;
  /** Remembers what the store holds now. */
  backUp(): Promise<void>;
  /** The store holds what it held at the last `backUp`. */
  fallBack(): Promise<void>;
  /** Whether the process that has the store open cannot live through `fallBack`. */
  readonly reopens: boolean;
}

export async function memoryPlace(clock: Clock): Promise<StorePlace> {
  const store = new MemoryStore(clock);
  let backup = store.copy();
  return {
    store: () => store,
    backUp: async () => void (backup = store.copy()),
    fallBack: async () => store.become(backup),
    reopens: false,
    [Symbol.asyncDispose]: async () => {},
  };
}

/** LMDB in a folder of its own. */
export async function embeddedPlace(): Promise<StorePlace> {
  const path = await mkdtemp(join(tmpdir(), 'canopy-fuzz-'));
  const backup = `${path}-backup`;
  const rest = { maxBytes: 2 ** 26, clock: systemClock, log: () => {}, onCorrupt: () => {} };
  const open = (): Promise<Store> => openEmbeddedStore({ path, ...rest });
  let store = await open();
  const between = async (task: () => Promise<unknown>): Promise<void> => {
    await store[Symbol.asyncDispose]();
    await task();
    store = await open();
  };
  const copy = async (from: string, to: string): Promise<void> => {
    await rm(to, { recursive: true, force: true });
    await cp(from, to, { recursive: true });
  };
  await between(() => copy(path, backup));
  return {
    store: () => store,
    backUp: () => between(() => copy(path, backup)),
    fallBack: () => between(() => copy(backup, path)),
    reopens: true,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await rm(path, { recursive: true, force: true });
      await rm(backup, { recursive: true, force: true });
    },
  };
}

/** A Redis of the system; its backup is the file it saves. */
export async function redisPlace(): Promise<StorePlace> {
  const server = await startRedis(['--appendonly', 'no']);
  const store = await openRedisStore(redisOptions(server.url));
  const file = join(server.folder, 'dump.rdb');
  const backup = join(server.folder, 'backup.rdb');
  const backUp = async (): Promise<void> => {
    await server.command('save');
    await cp(file, backup);
  };
  await backUp();
  return {
    store: () => store,
    backUp,
    async fallBack() {
      await server.kill();
      await cp(backup, file);
      await server.start();
      await answers(store);
    },
    reopens: false,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}

async function answers(store: Store): Promise<void> {
  for (;;) {
    try {
      await store.journals();
      return;
    } catch (error) {
      if (!(error instanceof CanopyError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** What a write says that fails. */
export const CHANCE = 'by chance';

/** What writes. */
const WRITES: ReadonlySet<string | symbol> = new Set<keyof Store>([
  ...(['commit', 'trimJournal', 'putTiles', 'dropTiles', 'dropLayouts'] as const),
  ...(['nextBlock', 'putBlockChunks', 'finishBlock', 'dropBlocks', 'sweepBlocks'] as const),
]);

/** A store in front of another: `mishap` says whether a write fails, before it is done or after. */
export function unreliable(
  store: () => Store,
  mishap: () => 'before' | 'after' | undefined,
): Store {
  return new Proxy({} as Store, {
    get(_, name: keyof Store) {
      const target = store();
      const method = target[name] as unknown;
      if (typeof method !== 'function' || !WRITES.has(name)) {
        return typeof method === 'function' ? method.bind(target) : method;
      }
      return async (...args: unknown[]): Promise<unknown> => {
        const when = mishap();
        if (when === 'before') throw new CanopyError('storage_unavailable', CHANCE);
        const result: unknown = await method.apply(target, args);
        if (when === 'after') throw new CanopyError('storage_unavailable', CHANCE);
        return result;
      };
    },
  });
}
