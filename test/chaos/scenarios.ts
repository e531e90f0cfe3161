/** What is done to the hierarchy. Each scenario is played, then everything is compared (world.ts). */
import { sleep } from '../processes.js';
import { SHARED_TARGET } from './frame-facts.js';
import type { Parent } from './members.js';
import { type ParentStep, planOf } from './plan.js';
import type { World } from './world.js';

/** The one that goes on for the longest, in rounds; it has a hierarchy of its own. */
export const RANDOM = 'random';

export interface Scenario {
  readonly name: string;
  readonly says: string;
  /** Needs a parent on Redis. */
  readonly redis?: boolean;
  /** How long the disturbance lasts, in the short form and in the long one. Seconds. */
  readonly short: number;
  readonly long: number;
  readonly play: (world: World, seconds: number) => Promise<void>;
}

/** Does something over and over for so long, at least once. */
async function again(seconds: number, act: () => Promise<void>): Promise<void> {
  const end = performance.now() + seconds * 1000;
  do await act();
  while (performance.now() < end);
}

const lasts = (seconds: number): Promise<void> => sleep(seconds * 1000);

async function cutNetwork(
  { leaves }: World,
  network: 'reset' | 'swallow' | 'flaky',
  seconds: number,
): Promise<void> {
  await Promise.all(leaves.map(({ line }) => line.become(network)));
  await lasts(seconds);
  await Promise.all(leaves.map(({ line }) => line.become('sound')));
}

/** Scraped by the first leaf, by both, by the other, and back again. */
async function moveTarget(world: World, other: 'near' | 'ahead', seconds: number): Promise<void> {
  const [first] = world.leaves;
  const second = await world.startLeaf(other);
  const part = seconds / 4;
  for (const [firstHas, secondHas] of [
    [true, false],
    [true, true],
    [false, true],
    [true, true],
    [true, false],
  ]) {
    world.scrape(first, firstHas ? [SHARED_TARGET] : []);
    world.scrape(second, secondHas ? [SHARED_TARGET] : []);
    await lasts(part);
  }
}

/** Leaf, parents and Redis, killed at random moments, on a network that is not always sound; everything is compared after each round. */
export async function randomKills(
  world: World,
  seconds: number,
  roundsMax: number,
): Promise<number> {
  const end = performance.now() + seconds * 1000;
  const [leaf] = world.leaves;
  let round = 0;
  for (const step of planOf(Math.floor(world.random() * 2 ** 31), roundsMax)) {
    if (round > 0 && performance.now() > end) break;
    round++;
    const killLeaf = async (after: number | undefined): Promise<void> => {
      if (after === undefined) return;
      await sleep(after);
      await leaf.kill();
      await leaf.start();
    };
    const play = async (): Promise<void> => {
      await leaf.line.become(step.network);
      await Promise.all([
        killLeaf(step.leaf),
        ...world.parents.map((parent) => killParent(parent, step.parents[parent.kind])),
      ]);
      await leaf.line.become('sound');
    };
    if (!(await world.judge(`round ${round}`, play))) break;
    const { checks, samples } = world.tally;
    world.say(`round ${round} of ${roundsMax}: ${checks} checks, ${samples} samples compared`);
  }
  return round;
}

async function killParent(parent: Parent, step: ParentStep): Promise<void> {
  await sleep(step.after);
  await parent.kill();
  const redis = parent.kind === 'redis' ? step.redis : 'lives';
  if (redis === 'killed') await parent.killRedis();
  else if (redis === 'flushed') parent.flushRedis();
  await sleep(step.away);
  parent.start();
  if (redis === 'killed') parent.startRedis();
  if (step.again !== undefined) {
    await sleep(step.again);
    await parent.kill();
    parent.start();
  }
  await parent.ready();
}

export const SCENARIOS: readonly Scenario[] = [
  {
    ...{ name: 'calm', says: 'nothing happens', short: 1, long: 60 },
    play: (_world, seconds) => lasts(seconds),
  },
  {
    ...{ name: 'parent-killed', says: 'the parents are killed and stay away', short: 2, long: 60 },
    play: async ({ parents }, seconds) => {
      await Promise.all(parents.map((parent) => parent.kill()));
      await lasts(seconds);
      for (const parent of parents) parent.start();
      await Promise.all(parents.map((parent) => parent.ready()));
    },
  },
  {
    ...{ name: 'leaf-killed', says: 'the leaf is killed, over and over', short: 1, long: 60 },
    play: ({ leaves: [leaf], random }, seconds) =>
      again(seconds, async () => {
        await sleep(500 + 2500 * random());
        await leaf.kill();
        await sleep(1000 * random());
        await leaf.start();
      }),
  },
  {
    ...{ name: 'leaf-frozen', says: 'the leaf is stopped and goes on', short: 2, long: 60 },
    play: async ({ leaves: [leaf] }, seconds) => {
      await lasts(1);
      leaf.signal('SIGSTOP');
      await lasts(seconds);
      leaf.signal('SIGCONT');
      await lasts(1);
    },
  },
  {
    ...{ name: 'redis-down', says: 'Redis is killed and stays away', redis: true },
    ...{ short: 2, long: 30 },
    play: async ({ redis }, seconds) => {
      await redis.killRedis();
      await lasts(seconds);
      redis.startRedis();
    },
  },
  {
    ...{ name: 'redis-frozen', says: 'Redis is stopped and goes on', redis: true },
    ...{ short: 2, long: 30 },
    play: async ({ redis }, seconds) => {
      redis.signalRedis('SIGSTOP');
      await lasts(seconds);
      redis.signalRedis('SIGCONT');
    },
  },
  {
    ...{ name: 'flushall', says: 'FLUSHALL', redis: true, short: 0, long: 30 },
    play: ({ redis }, seconds) =>
      again(seconds, async () => {
        redis.flushRedis();
        await sleep(1000);
      }),
  },
  {
    ...{ name: 'cut-reset', says: 'the network resets every connection', short: 2, long: 60 },
    play: (world, seconds) => cutNetwork(world, 'reset', seconds),
  },
  {
    ...{ name: 'cut-swallow', says: 'the network swallows everything', short: 2, long: 60 },
    play: (world, seconds) => cutNetwork(world, 'swallow', seconds),
  },
  {
    ...{ name: 'flaky', says: 'connections are refused, cut in the middle, late' },
    ...{ short: 3, long: 60 },
    play: (world, seconds) => cutNetwork(world, 'flaky', seconds),
  },
  {
    ...{ name: 'slow-line', says: 'the parents come back, and the line carries little' },
    ...{ short: 2, long: 60 },
    play: async (world, seconds) => {
      const { leaves, parents } = world;
      await Promise.all(parents.map((parent) => parent.kill()));
      await lasts(seconds);
      await Promise.all(leaves.map(({ line }) => line.become('slow')));
      for (const parent of parents) parent.start();
      await Promise.all(parents.map((parent) => parent.ready()));
      // They must get on, though no page in full comes in the time that they wait.
      const to = Date.now();
      await Promise.all(parents.map((parent) => parent.completeUpTo(to, leaves)));
      await Promise.all(leaves.map(({ line }) => line.become('sound')));
    },
  },
  {
    ...{ name: 'slow-pull', says: 'pulled every fifth scrape', short: 3, long: 60 },
    play: async (world, seconds) => {
      await world.pullEvery(5);
      await lasts(seconds);
      await world.pullEvery(1);
    },
  },
  {
    ...{ name: 'series-dropped', says: 'series go, for a while and for good', short: 2, long: 30 },
    play: async ({ farm }, seconds) => {
      await farm.shape({ drop: ['slow', 'wave'] });
      await lasts(seconds / 2);
      await farm.shape({ drop: ['passing'] });
      await lasts(seconds / 2);
    },
  },
  {
    ...{ name: 'label-renamed', says: 'a label gets another name', short: 1, long: 30 },
    play: async ({ farm }, seconds) => {
      await farm.shape({ rename: true });
      await lasts(seconds);
    },
  },
  {
    name: 'renamed-meanwhile',
    says: 'a label gets another name while the leaf is away',
    ...{ short: 1, long: 30 },
    play: async ({ farm, leaves: [leaf] }, seconds) => {
      await farm.shape({ rename: true });
      await lasts(seconds / 2);
      await leaf.kill();
      await farm.shape({ rename: false });
      await leaf.start();
      await lasts(seconds / 2);
    },
  },
  {
    ...{ name: 'moved', says: 'a target moves to another leaf and back, with overlap' },
    ...{ short: 4, long: 40 },
    play: (world, seconds) => moveTarget(world, 'near', seconds),
  },
  {
    ...{ name: 'moved-ahead', says: 'as moved; the clock of the other leaf is a second ahead' },
    ...{ short: 6, long: 40 },
    play: (world, seconds) => moveTarget(world, 'ahead', seconds),
  },
];
