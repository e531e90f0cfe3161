/** A run: scenarios one after another in two hierarchies, random kills in a third, all at once. */
import { Site } from '../processes.js';
import type { Evidence } from './evidence.js';
import type { ParentCounts } from './members.js';
import type { StoreKind } from './plan.js';
import { RANDOM, SCENARIOS, type Scenario, randomKills } from './scenarios.js';
import { type Tally, World, type WorldOptions } from './world.js';

/** Frames come faster than a parent pulls, and what is old goes within seconds. */
const FOR_RANDOM = { scrapeMs: 100, pullMs: 500, retentionS: 45, windowS: 5, hasTop: false };
/** In so many hierarchies at once, each of which has its part of the scenarios one after another. */
const ROWS = 2;
const FOR_SCENARIOS = { scrapeMs: 200, pullMs: 200, retentionS: 0, windowS: 5, hasTop: true };

export interface ChaosOptions {
  /** By name, in this order. */
  readonly scenarios: readonly string[];
  readonly form: 'short' | 'long';
  readonly seed: number;
  readonly stores: readonly StoreKind[];
  /** Of random kills. */
  readonly roundsMax: number;
  readonly secondsMax: number;
  readonly say: (line: string) => void;
}

export interface ScenarioResult {
  readonly name: string;
  readonly says: string;
  readonly seconds: number;
  readonly tally: Readonly<Tally>;
  readonly faults: readonly string[];
}

export interface ChaosResult {
  readonly results: readonly ScenarioResult[];
  /** Of random kills. */
  readonly rounds: number;
  readonly counts: Readonly<ParentCounts> & { readonly leafKills: number };
  readonly faults: readonly string[];
  /** What was judged last in each hierarchy. */
  readonly evidence: readonly Evidence[];
  readonly seconds: number;
}

interface Part {
  readonly results: ScenarioResult[];
  readonly rounds: number;
  readonly world: World;
}

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const begun = performance.now();
  const { scenarios, stores } = options;
  const chosen = scenarios
    .filter((name) => name !== RANDOM)
    .map((name) => SCENARIOS.find((scenario) => scenario.name === name)!)
    .filter(({ redis }) => redis !== true || stores.includes('redis'));
  const runs: Array<Promise<Part>> = [];
  if (scenarios.includes(RANDOM)) runs.push(inWorld(options, FOR_RANDOM, playRandom));
  for (let row = 0; row < ROWS; row++) {
    const own = chosen.filter((_, i) => i % ROWS === row);
    if (own.length === 0) continue;
    runs.push(inWorld(options, FOR_SCENARIOS, (world) => playAll(world, options, own)));
  }
  const parts = await Promise.all(runs);
  const results = parts.flatMap((part) => part.results);
  return {
    results,
    rounds: parts.reduce((sum, { rounds }) => sum + rounds, 0),
    counts: countsOf(parts.map(({ world }) => world)),
    faults: results.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`)),
    evidence: parts.flatMap(({ world }) => world.evidence ?? []),
    seconds: (performance.now() - begun) / 1000,
  };
}

type Played = Omit<Part, 'world'>;

async function inWorld(
  options: ChaosOptions,
  kind: Pick<WorldOptions, 'scrapeMs' | 'pullMs' | 'retentionS' | 'windowS' | 'hasTop'>,
  play: (world: World, options: ChaosOptions) => Promise<Played>,
): Promise<Part> {
  await using site = new Site();
  const { stores, seed, say } = options;
  const world = await World.open({ ...kind, stores, seed, say }, site);
  try {
    const played = await play(world, options);
    await Promise.all(world.parents.map((parent) => parent.readCounters()));
    return { ...played, world };
  } finally {
    await world.close();
  }
}

async function playRandom(world: World, options: ChaosOptions): Promise<Played> {
  world.begin();
  const begun = performance.now();
  const rounds = await randomKills(world, options.secondsMax, options.roundsMax);
  const seconds = (performance.now() - begun) / 1000;
  const says = 'leaf, parents and Redis are killed at random moments, the network fails';
  const { tally, faults } = world;
  return { rounds, results: [{ name: RANDOM, says, seconds, tally, faults }] };
}

async function playAll(
  world: World,
  { form, say }: ChaosOptions,
  chosen: readonly Scenario[],
): Promise<Played> {
  const results: ScenarioResult[] = [];
  for (const [i, scenario] of chosen.entries()) {
    const { name, says } = scenario;
    const begun = performance.now();
    const before = { tally: { ...world.tally }, faults: world.faults.length };
    world.begin();
    await world.judge(name, () => scenario.play(world, scenario[form]));
    const seconds = (performance.now() - begun) / 1000;
    const faults = world.faults.slice(before.faults);
    const tally = difference(world.tally, before.tally);
    results.push({ name, says, seconds, tally, faults });
    say(
      `${i + 1} of ${chosen.length}: ${name} (${says}): ${tally.scrapes} scrapes, ${tally.samples} samples compared, ${faults.length} faults, ${seconds.toFixed(0)} s`,
    );
    // What follows may be the same again.
    if (faults.length > 0) break;
  }
  return { results, rounds: 0 };
}

const difference = (after: Tally, before: Tally): Tally => ({
  checks: after.checks - before.checks,
  scrapes: after.scrapes - before.scrapes,
  samples: after.samples - before.samples,
  ends: after.ends - before.ends,
  gaps: after.gaps - before.gaps,
  lostBeforeKillMs: after.gaps === before.gaps ? 0 : after.lostBeforeKillMs,
});

function countsOf(worlds: readonly World[]): ChaosResult['counts'] {
  const sum: Record<string, number> = { leafKills: 0 };
  for (const { parents, leaves } of worlds) {
    for (const { kills } of leaves) sum.leafKills += kills.length;
    for (const { counts } of parents) {
      for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
    }
  }
  return sum as unknown as ChaosResult['counts'];
}
