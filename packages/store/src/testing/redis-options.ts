/** What the tests of the Redis store share: options, a lease, commits one by one. */
import { type JournalPosition, type Lease, type Store, asDuration } from '@canopy/model';
import type { RedisStoreOptions } from '../redis/redis-store.js';
import type { RedisServer } from './redis-server.js';
import { systemClock, testEntry, testJournal } from './fixtures.js';

/** Small slices, so that tests cross them. */
export function redisOptions(url: string): RedisStoreOptions {
  return {
    url,
    keyPrefix: 'canopy:',
    clock: systemClock,
    commandTimeout: asDuration(2000),
    waitReplicas: 0,
    waitTimeout: asDuration(1000),
    sliceBytesMax: 2000,
    log: () => {},
    onCorrupt: () => {},
  };
}

export const NO_LIMITS = { maxBytes: 1e9, maxEntries: 1e9 };

export async function takeLease(store: Store, ref = testJournal()): Promise<Lease> {
  const outcome = await store.acquireLease(ref, 'one', asDuration(60_000));
  if (!outcome.granted) throw new Error('not granted');
  return outcome.lease;
}

/** Commits entry `sequence` of epoch 1 after the one before it. */
export async function add(
  store: Store,
  lease: Lease,
  sequence: number,
  size = 500,
): Promise<string> {
  const expected = sequence === 1 ? null : { epoch: 1, sequence: sequence - 1 };
  const position: JournalPosition = { epoch: 1, sequence };
  const entries = [testEntry(position, sequence % 7 === 1 ? 'layout' : 'frame', 1, size)];
  const commit = { lease, expected, position, entries, cursor: '', ledger: '{}' };
  return (await store.commit(commit)).outcome;
}

/** Kills a master (-9) whose replica has all that was there at first, and nothing of `meanwhile`. */
export async function cutOff(
  master: RedisServer,
  replica: RedisServer,
  meanwhile: () => Promise<void>,
): Promise<void> {
  await replicated(master, replica);
  process.kill(replica.pid, 'SIGSTOP');
  try {
    await master.command('client', 'kill', 'type', 'replica');
    await meanwhile();
    await master.kill();
  } finally {
    process.kill(replica.pid, 'SIGCONT');
  }
}

/** Resolves when the replica has what the master had. */
export async function replicated(master: RedisServer, replica: RedisServer): Promise<void> {
  const offset = await offsetOf(master, /master_repl_offset:(\d+)/);
  await until(async () => (await offsetOf(replica, /slave_repl_offset:(\d+)/)) >= offset);
}

async function offsetOf(server: RedisServer, pattern: RegExp): Promise<number> {
  return Number(pattern.exec(String(await server.command('info', 'replication')))?.[1]);
}

/** Polls. */
export async function until(done: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await done())) {
    if (Date.now() > end) throw new Error('did not happen');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
