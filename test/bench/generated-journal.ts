/**
 * A store filled as a parent or a leaf does it, through the journal writer, the head and the tile keeper
 * themselves, in virtual time.
 */
import { randomBytes } from 'node:crypto';
import { Head } from '@canopy/head';
import {
  type Clock,
  type DurationMs,
  type JournalRef,
  type Milliseconds,
  type Store,
  type StoredTile,
  asDuration,
  asTime,
} from '@canopy/model';
import { JournalWriter, openEmbeddedStore, openRedisStore } from '@canopy/store';
import { systemClock } from '../../packages/canopy/src/clock.js';
import { JournalLeases } from '../../packages/canopy/src/parts/journal-leases.js';
import { RecentTiles } from '../../packages/canopy/src/parts/recent-tiles.js';
import { TileKeeper } from '../../packages/canopy/src/parts/tile-keeper.js';

const KEY_FRAME_EVERY = 120;
const TTL = asDuration(3_600_000);
const OWNER = 'generator';
/** Tiles leave the generator's memory soon: they are in the store. */
const WINDOW = asDuration(600_000);

const log = (level: string, message: string, fields: unknown = ''): void => {
  if (level !== 'debug' && level !== 'info') console.error(level, message, fields);
};

export interface GeneratedJournal {
  readonly store: Store;
  readonly journal: JournalWriter;
  readonly keeper: TileKeeper;
  /** Commits what was written up to `now`, and the tiles that it closed. */
  settle(now: Milliseconds): Promise<void>;
  /** As after a kill, but for the wait until leases have run out. The store stays open. */
  release(): Promise<void>;
}

/** `place`: a Redis URL or a folder. `now` is the virtual time; with `leaf` the journal is kept whole. */
export async function openGenerated(
  role: 'leaf' | 'parent',
  place: string,
  now: () => Milliseconds,
): Promise<GeneratedJournal> {
  const isLeaf = role === 'leaf';
  const clock: Clock = {
    now,
    monotonic: () => performance.now(),
    after(_delay: DurationMs, fire: () => void) {
      const immediate = setImmediate(fire);
      return { cancel: () => clearImmediate(immediate) };
    },
  };
  const store = await openStore(place);
  const leases = new JournalLeases({ store, clock, owner: OWNER, ttl: TTL });
  const kept = { store, leases, log, head: (): Head => head };
  const recent = isLeaf
    ? new RecentTiles({ ...kept, clock, window: asDuration(7_200_000), bytesMax: 2 ** 40 })
    : undefined;
  const keeper =
    recent?.keeper ??
    new TileKeeper({ ...kept, oldestReader: () => undefined, hasUntoldGaps: () => false });
  const head = new Head({
    clock,
    windowMs: WINDOW,
    tileFrames: KEY_FRAME_EVERY,
    outOfOrderWindow: asDuration(0),
    onTileClosed: (ref: JournalRef, tile: StoredTile) => keeper.add(ref, tile),
    tileSource: store,
    maxSeries: 10_000_000,
  });
  const journal = await JournalWriter.open({
    ...{ store: isLeaf ? store : withOtherDocuments(store), clock, owner: OWNER, leaseTtl: TTL },
    ...{ log, randomBytes: (size: number) => randomBytes(size), pathIdentity: '' },
    ...{ commitInterval: asDuration(1000), commitBytes: 1024 * 1024 },
    ...{ keyFrameEvery: KEY_FRAME_EVERY, queueBytesMax: 256 * 1024 * 1024 },
    onCommitted: (ref, entries) => void head.apply(ref, entries),
    completeUpTo: () => asTime(now() - 1),
  });
  return {
    ...{ store, journal, keeper },
    async settle(time) {
      await journal.flush();
      await keeper.write();
      head.expire(time);
    },
    async release() {
      await keeper.write();
      await store.releaseLease(journal.lease);
    },
  };
}

function openStore(place: string): Promise<Store> {
  // Time-outs of stores are of the real world.
  const common = { clock: systemClock, log, onCorrupt: () => {} };
  if (!place.includes('://')) {
    return openEmbeddedStore({ path: place, maxBytes: 64 * 2 ** 30, ...common });
  }
  return openRedisStore({
    ...{ url: place, keyPrefix: 'canopy:', commandTimeout: asDuration(30_000) },
    ...{ waitReplicas: 0, waitTimeout: asDuration(1000) },
    ...{ sliceBytesMax: 64 * 1024 * 1024, ...common },
  });
}

/** Not a parent's own journal: its documents have other names. */
function withOtherDocuments(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'getDocument') return (key: string) => target.getDocument(`bench/${key}`);
      if (name === 'putDocument') {
        return (key: string, text: string | undefined) => target.putDocument(`bench/${key}`, text);
      }
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
