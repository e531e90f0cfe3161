/**
 * `npm run bench -- store/flush [seconds]`: what commits of twenty small sources (one frame of 1,000 series each five seconds, 850
 * bytes) cost Redis, by when they are sent: each at its own time, those of a second in one turn, those of five seconds in one
 * turn, or some milliseconds apart, as answers of sources come; with and without a lease renewed beside each. CPU above idle,
 * append-only file.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { type Lease, asDuration } from '@canopy/model';
import { type RedisStore, openRedisStore } from '@canopy/store';
import { startRedis, systemClock, testEntry, testJournal } from '@canopy/store/testing';

const isSmall = process.argv.includes('--small');
const SECONDS = isSmall ? 5 : Number(process.argv.slice(2).find((arg) => /^\d+$/.test(arg)) ?? 30);
const [SOURCES, EVERY_S, SERIES, FRAME_BYTES] = [20, 5, 1000, 850];
const TTL = asDuration(600_000);

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

function cpuNanoseconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const of = (thread: string): string =>
    readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8');
  return threads.reduce((sum, thread) => sum + Number(of(thread).split(' ')[0]), 0);
}

interface Source {
  lease: Lease;
  sequence: number;
}

async function commit(store: RedisStore, source: Source, withLease: boolean): Promise<void> {
  const { lease } = source;
  if (withLease) await store.acquireLease(lease.journal, lease.owner, TTL);
  const before = source.sequence++;
  const position = { epoch: 1, sequence: source.sequence };
  const { outcome } = await store.commit({
    ...{ lease, position, cursor: 'c'.repeat(60), ledger: 'l'.repeat(600) },
    expected: before === 0 ? null : { epoch: 1, sequence: before },
    entries: [testEntry(position, 'frame', 1, FRAME_BYTES)],
  });
  if (outcome !== 'applied') throw new Error(outcome);
}

/** `turns` a period of EVERY_S, each with an equal share of the sources, `apartMs` one after the other. */
async function measure(turns: number, apartMs: number, withLease: boolean): Promise<number> {
  const redis = await startRedis(['--appendonly', 'yes']);
  const store = await openRedisStore({
    ...{ url: redis.url, keyPrefix: 'canopy:', sliceBytesMax: 64 * 1024 ** 2, clock: systemClock },
    ...{ commandTimeout: asDuration(30_000), waitReplicas: 0, waitTimeout: asDuration(1000) },
    ...{ log: () => {}, onCorrupt: () => {} },
  });
  const sources: Source[] = [];
  for (let i = 0; i < SOURCES; i++) {
    const outcome = await store.acquireLease(testJournal(), 'bench', TTL);
    if (!outcome.granted) throw new Error('the lease is held');
    sources.push({ lease: outcome.lease, sequence: 0 });
  }
  await Promise.all(sources.map((source) => commit(store, source, false)));
  await sleep(1000);
  const idleFrom = cpuNanoseconds(redis.pid);
  await sleep(1000 * (isSmall ? 1 : 10));
  const idlePerMs = (cpuNanoseconds(redis.pid) - idleFrom) / (1000 * (isSmall ? 1 : 10));
  const [begun, from] = [performance.now(), cpuNanoseconds(redis.pid)];
  let commits = 0;
  for (let turn = 0; turn < (SECONDS / EVERY_S) * turns; turn++) {
    const due = sources.filter((_, i) => i % turns === turn % turns);
    const sent = due.map(async (source, i) => {
      if (apartMs > 0) await sleep(i * apartMs);
      await commit(store, source, withLease);
    });
    await Promise.all(sent);
    commits += due.length;
    await sleep(Math.max(0, begun + (turn + 1) * ((EVERY_S * 1000) / turns) - performance.now()));
  }
  const used = cpuNanoseconds(redis.pid) - from - idlePerMs * (performance.now() - begun);
  await store[Symbol.asyncDispose]();
  await redis.stop();
  return used / commits;
}

console.log(
  '| sent | µs of CPU a commit | s a million samples | with a lease renewed beside it, µs |',
);
console.log('|---|---|---|---|');
for (const [name, turns, apartMs] of [
  ['each at its own time', SOURCES, 0],
  ['those of a second, 3 ms apart', EVERY_S, 3],
  ['those of a second in one turn', EVERY_S, 0],
  ['all, 3 ms apart', 1, 3],
  ['all in one turn', 1, 0],
] as const) {
  const [plain, leased] = [
    await measure(turns, apartMs, false),
    await measure(turns, apartMs, true),
  ];
  const perMillion = (plain / 1e9) * (1e6 / SERIES);
  console.log(
    `| ${name} | ${(plain / 1000).toFixed(0)} | ${perMillion.toFixed(3)} | ${(leased / 1000).toFixed(0)} |`,
  );
}
process.exit(0);
