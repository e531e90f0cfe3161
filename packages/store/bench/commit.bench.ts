/**
 * Commits of 1 MiB and of a small leaf's second, embedded and Redis, interleaved; beside them what the
 * disk itself does: the same bytes appended to a file, with fdatasync. Run: npx tsx packages/store/bench/commit.bench.ts [rounds | --small]
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JournalPosition, type Lease, type Store, asDuration } from '@canopy/model';
import { openEmbeddedStore, openRedisStore } from '@canopy/store';
import {
  redisIsLeftOut,
  startRedis,
  systemClock,
  testEntry,
  testJournal,
} from '@canopy/store/testing';

const rounds = process.argv.includes('--small') ? 5 : Number(process.argv[2] ?? 60);
const folder = await mkdtemp(join(tmpdir(), 'canopy-bench-'));
const common = { clock: systemClock, log: () => {}, onCorrupt: () => {} };

interface Contestant {
  readonly name: string;
  write(count: number, size: number): Promise<number>;
  close(): Promise<void>;
}

async function storeContestant(name: string, store: Store): Promise<Contestant> {
  const outcome = await store.acquireLease(testJournal(), 'bench', asDuration(600_000));
  if (!outcome.granted) throw new Error('the lease is held');
  const lease: Lease = outcome.lease;
  let expected: JournalPosition | null = null;
  return {
    name,
    async write(count, size) {
      const from: number = expected?.sequence ?? 0;
      const entries = Array.from({ length: count }, (_, i) =>
        testEntry({ epoch: 1, sequence: from + i + 1 }, 'frame', i + 1, size),
      );
      const position: JournalPosition = { epoch: 1, sequence: from + count };
      const begun = performance.now();
      const { outcome: result } = await store.commit({
        lease,
        expected,
        position,
        entries,
        cursor: '',
        ledger: '{}',
      });
      if (result !== 'applied') throw new Error(result);
      expected = position;
      return performance.now() - begun;
    },
    async close() {
      await store[Symbol.asyncDispose]();
    },
  };
}

async function fileContestant(): Promise<Contestant> {
  const file = await open(join(folder, 'plain'), 'a');
  return {
    name: 'file + fdatasync',
    async write(count, size) {
      const bytes = Buffer.alloc(count * size, 1);
      const begun = performance.now();
      await file.write(bytes);
      await file.datasync();
      return performance.now() - begun;
    },
    close: () => file.close(),
  };
}

const path = join(folder, 'lmdb');
const contestants = [
  await fileContestant(),
  await storeContestant(
    'embedded',
    await openEmbeddedStore({ ...common, path, maxBytes: 4 * 1024 ** 3 }),
  ),
];
const server = redisIsLeftOut() ? undefined : await startRedis();
if (server !== undefined) {
  const redis = {
    url: server.url,
    keyPrefix: 'canopy:',
    commandTimeout: asDuration(5000),
    waitReplicas: 0,
    waitTimeout: asDuration(1000),
    sliceBytesMax: 64 * 1024 ** 2,
  };
  contestants.push(await storeContestant('redis', await openRedisStore({ ...common, ...redis })));
}

for (const [count, size] of [
  [20, 1000],
  [100, 10_000],
]) {
  const times = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) {
      times.get(contestant.name)!.push(await contestant.write(count, size));
    }
  }
  console.log(`${count} entries of ${size} bytes a commit, ${rounds} rounds`);
  const median = (name: string): number => {
    const sorted = times.get(name)!.toSorted((a, b) => a - b);
    return sorted[sorted.length >> 1];
  };
  for (const { name } of contestants) {
    const ms = median(name);
    const mbPerSecond = (count * size) / 1000 / ms;
    const ratio = ms / median(contestants[0].name);
    console.log(
      `  ${name.padEnd(18)} ${ms.toFixed(2)} ms  ${mbPerSecond.toFixed(0)} MB/s  ${ratio.toFixed(2)}x the file`,
    );
  }
}
for (const contestant of contestants) await contestant.close();
await server?.stop();
await rm(folder, { recursive: true, force: true });
