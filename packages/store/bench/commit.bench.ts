/**
 * Commits of 1 MiB and of a small leaf's second, embedded and Redis, interleaved; beside them what the
 * disk itself does: the same bytes appended to a file, with fdatasync. Then what a source of 100,000 series at 5 s
 * costs Redis itself: CPU and commands a million samples. Run: npm run bench -- store/commit [rounds | --small]
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type JournalPosition,
  type Lease,
  type Store,
  type StoredTile,
  asDuration,
  asTime,
} from '@canopy/model';
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
  const lease = await take(store, testJournal());
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
if (!redisIsLeftOut()) await measureRedis(process.argv.includes('--small') ? 1 : 3);
await rm(folder, { recursive: true, force: true });

/** CPU seconds of all threads of a process; ticks of 10 ms. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/**
 * A second is one commit of 20 frames of 1,000 series (0.85 bytes a sample), a lease renewed every fifth, a look at
 * the usage with it; every ten minutes the tiles of 100 groups, and the journal cut behind them. Without pauses.
 */
async function measureRedis(runs: number): Promise<void> {
  const [frames, series, frameBytes, groups, tileFrames] = [20, 1000, 850, 100, 120];
  const rounds = (groups * tileFrames) / frames;
  const samples = rounds * frames * series;
  let best = Number.POSITIVE_INFINITY;
  let commands = 0;
  for (let run = 0; run < runs; run++) {
    const redis = await startRedis(['--appendonly', 'yes']);
    const idle = cpuSeconds(redis.pid);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const idleShare = (cpuSeconds(redis.pid) - idle) / 2;
    const store = await openRedisStore({
      ...{ ...common, url: redis.url, keyPrefix: 'canopy:', sliceBytesMax: 64 * 1024 ** 2 },
      commandTimeout: asDuration(5000),
      ...{ waitReplicas: 0, waitTimeout: asDuration(1000) },
    });
    const lease = await take(store, testJournal());
    const made = secondsOf(lease, rounds, frames, frameBytes);
    const tiles = tilesOf(groups, tileFrames * series * 0.84);
    await redis.command('config', 'resetstat');
    const [begun, before] = [performance.now(), cpuSeconds(redis.pid)];
    for (const [i, commit] of made.entries()) {
      if (i % 5 === 0) await take(store, lease.journal);
      if (i % 5 === 0) await store.usage();
      await store.commit(commit);
    }
    await store.putTiles(lease, tiles);
    await store.trimJournal(lease, made[made.length - 1].position);
    const seconds = (performance.now() - begun) / 1000;
    const used = cpuSeconds(redis.pid) - before - idleShare * seconds;
    best = Math.min(best, used / (samples / 1e6));
    const info = String(await redis.command('info', 'stats'));
    commands = Number(/total_commands_processed:(\d+)/.exec(info)![1]);
    await store[Symbol.asyncDispose]();
    await redis.stop();
  }
  console.log(
    `redis-server, ${samples / 1e6} million samples in ${rounds} commits: ` +
      `${best.toFixed(4)} CPU seconds a million samples above idle (least of ${runs}), ` +
      `${(commands / rounds).toFixed(1)} commands a commit, those inside of scripts included`,
  );
}

async function take(store: Store, ref: Lease['journal']): Promise<Lease> {
  const outcome = await store.acquireLease(ref, 'bench', asDuration(600_000));
  if (!outcome.granted) throw new Error('the lease is held');
  return outcome.lease;
}

function secondsOf(lease: Lease, count: number, frames: number, size: number) {
  return Array.from({ length: count }, (_, second) => {
    const first = second * frames;
    const entries = Array.from({ length: frames }, (_frame, i) =>
      testEntry({ epoch: 1, sequence: first + i + 1 }, 'frame', ((first + i) % 100) + 1, size),
    );
    const expected = second === 0 ? null : { epoch: 1, sequence: first };
    const position: JournalPosition = { epoch: 1, sequence: first + frames };
    return { lease, expected, position, entries, cursor: 'c'.repeat(60), ledger: '{}' };
  });
}

function tilesOf(count: number, size: number): StoredTile[] {
  return Array.from({ length: count }, (_, group) => ({
    meta: {
      ...{ epoch: 1, group, firstSequence: group, lastSequence: group, byteLength: size },
      ...{ minTime: asTime(1), maxTime: asTime(2) },
    },
    bytes: new Uint8Array(size).fill(group),
  }));
}
