/** What a seed decides before its run begins: who is there, what goes wrong when. */
import type { AtRest } from '@canopy/federation/testing';
import { Chance } from './random.js';
import type { LinkWeather } from './database.js';
import type { DeathWeather } from './machine.js';
import type { NetworkWeather } from './network.js';

export type Fault =
  | { readonly kind: 'kill' | 'stop'; readonly machine: string; readonly away: number }
  /** Its clock is set while it is away. */
  | {
      readonly kind: 'kill and clock';
      readonly machine: string;
      readonly away: number;
      readonly by: number;
    }
  /** For good; another scrapes what it did. */
  | {
      readonly kind: 'leaf leaves';
      readonly machine: string;
      readonly how: 'kill' | 'stop';
      readonly to: string;
    }
  /** One that never was there. */
  | { readonly kind: 'leaf comes'; readonly machine: string; readonly target: string }
  /** Killed; what comes back under its name has an empty disk. */
  | { readonly kind: 'leaf loses disk'; readonly machine: string; readonly away: number }
  | { readonly kind: 'freeze'; readonly machine: string; readonly ms: number }
  | { readonly kind: 'clock'; readonly machine: string; readonly by: number }
  | {
      readonly kind: 'cut';
      readonly a: string;
      readonly b: string;
      readonly how: 'reset' | 'swallow';
      readonly ms: number;
    }
  | { readonly kind: 'store away' | 'store slow'; readonly database: string; readonly ms: number }
  | { readonly kind: 'store falls back'; readonly database: string; readonly ms: number }
  | { readonly kind: 'store wiped'; readonly database: string }
  /** Its append-only file ends earlier by so many writes. */
  | { readonly kind: 'store cut'; readonly database: string; readonly writes: number }
  /** One node of a cluster falls back, the others do not. */
  | {
      readonly kind: 'node falls back';
      readonly database: string;
      readonly node: number;
      readonly ms: number;
    }
  | { readonly kind: 'record damaged'; readonly database: string; readonly back: number }
  /** A tile, a chunk of a block, a kept layout, a document, where it lies: a bit flips, or it ends early. */
  | {
      readonly kind: 'damage at rest';
      readonly database: string;
      readonly what: AtRest | 'document';
      readonly how: 'flip' | 'cut';
    }
  | { readonly kind: 'target down' | 'target hangs'; readonly target: string; readonly ms: number }
  | {
      readonly kind: 'target moves';
      readonly target: string;
      readonly to: string;
      /** Above 0: scraped by both for so long; below: by nobody. */
      readonly overlap: number;
    };

export interface Planned {
  /** Milliseconds of the run. */
  readonly at: number;
  readonly fault: Fault;
}

export interface Plan {
  readonly seed: number;
  /** Nothing goes wrong. */
  readonly isCalm: boolean;
  /** All that are ever there. */
  readonly leaves: readonly string[];
  /** Of these, which come later, when. Milliseconds; infinite: a fault brings it. */
  readonly comes: Readonly<Record<string, number>>;
  readonly targets: readonly string[];
  /** Target to leaf at the beginning. */
  readonly scrapedBy: Readonly<Record<string, string>>;
  readonly scrapeMs: number;
  readonly pullMs: number;
  readonly isParentEmbedded: boolean;
  readonly hasStandby: boolean;
  /** A level above the parent; *diamond*: it also pulls a leaf itself. */
  readonly above: 'none' | 'chain' | 'diamond';
  /** Another parent that pulls some series only. */
  readonly hasFiltered: boolean;
  /** Journals of leaves are kept so long; 0: for ever. */
  readonly journalMs: number;
  readonly pageBytes: number;
  readonly activeMs: number;
  readonly network: NetworkWeather;
  readonly parentLink: LinkWeather;
  readonly leafLink: LinkWeather;
  readonly deaths: DeathWeather;
  readonly faults: readonly Planned[];
}

const DATABASES = { parent: 'dbp', grand: 'dbg', filtered: 'dbf' } as const;

export const planOf = (seed: number): Plan =>
  withRefusals(new Chance(seed, 'refusals'), planBeforeRefusals(seed));

/** As plans were when fixed seeds were found: no store refuses anything while it is there. */
export const planBeforeRefusals = (seed: number): Plan =>
  withDamage(new Chance(seed, 'damage'), planBeforeDamage(seed));

/** As plans were when the older of the fixed seeds were found: nothing is damaged at rest, either. */
export function planBeforeDamage(seed: number): Plan {
  const chance = new Chance(seed, 'plan');
  const leaves = ['l1', 'l2', 'l3'].slice(0, chance.int(1, 3));
  const targets = ['t1:9100', 't2:9100', 't3:9100', 't4:9100'].slice(0, chance.int(1, 4));
  const scrapedBy = Object.fromEntries(targets.map((target) => [target, chance.of(leaves)]));
  const isCalm = chance.isHit(0.1);
  const often = (share: number, most: number): number =>
    !isCalm && chance.isHit(share) ? chance.between(0, most) : 0;
  const late = chance.isHit(0.3) ? chance.between(3000, 20_000) : 0;
  const base = {
    ...{ seed, isCalm, leaves, targets, scrapedBy },
    comes: late > 0 ? { [leaves.at(-1)!]: late } : {},
    scrapeMs: chance.of([250, 500, 1000]),
    pullMs: chance.of([1000, 2000, 5000]),
    isParentEmbedded: chance.isHit(0.25),
    hasStandby: chance.isHit(0.3),
    above: chance.of(['none', 'none', 'chain', 'diamond'] as const),
    hasFiltered: chance.isHit(0.3),
    journalMs: chance.isHit(0.2) ? 30_000 : 0,
    pageBytes: chance.of([2048, 16_384, 4_194_304]),
    activeMs: chance.between(15_000, 50_000),
    network: {
      requestLost: often(0.6, 0.05),
      requestTwice: often(0.5, 0.1),
      answerLost: often(0.6, 0.05),
      answerCut: often(0.5, 0.05),
      answerOld: often(0.5, 0.1),
      late: often(0.6, 0.1),
      lateMs: chance.of([20, 300, 3000]),
    },
    parentLink: {
      crashBefore: often(0.4, 0.01),
      crashAfter: often(0.4, 0.01),
      crashAmid: often(0.4, 0.2),
      lostAnswer: often(0.4, 0.03),
      refused: 0,
    },
    leafLink: {
      ...{ crashBefore: often(0.3, 0.02), crashAfter: often(0.3, 0.02) },
      ...{ crashAmid: 0, lostAnswer: 0, refused: 0 },
    },
  };
  const faults = isCalm ? [] : faultsOf(chance, base);
  // Streams of their own: what was found with a seed before stays with it.
  return withMore(new Chance(seed, 'more'), base, faults);
}

type Base = Omit<Plan, 'faults' | 'deaths'>;

/** The leaf that a fault may bring. */
const NEWCOMER = 'l4';
const LEAVES = 0.3;

/** Deaths at anything a process waits for; stores torn; leaves that come and go. */
function withMore(chance: Chance, base: Base, faults: Planned[]): Plan {
  const { isCalm } = base;
  const often = (share: number, most: number): number =>
    !isCalm && chance.isHit(share) ? chance.between(0, most) : 0;
  const deaths = {
    ...{ atRead: often(0.4, 0.02), atEvent: often(0.4, 0.0005) },
    ...{ inRecovery: often(0.4, 0.03), inChore: often(0.4, 0.03) },
  };
  const planned = [...faults];
  const [leaves, comes] = [[...base.leaves], { ...base.comes }];
  const at = (): number => chance.between(500, base.activeMs);
  if (!isCalm) {
    for (let left = chance.int(0, 3); left > 0; left--) {
      const fault = chance.of(moreKinds(chance, base))();
      if (fault !== undefined) planned.push({ at: at(), fault });
    }
    if (chance.isHit(LEAVES)) {
      const machine = NEWCOMER;
      leaves.push(machine);
      comes[machine] = Number.POSITIVE_INFINITY;
      const target = chance.of(base.targets);
      planned.push({ at: at(), fault: { kind: 'leaf comes', machine, target } });
    }
    if (base.leaves.length > 1 && chance.isHit(LEAVES)) {
      const [machine, to] = [base.leaves[0], base.leaves[1]];
      const how = chance.of(['kill', 'stop'] as const);
      planned.push({ at: at(), fault: { kind: 'leaf leaves', machine, how, to } });
    }
  }
  planned.sort((a, b) => a.at - b.at);
  return { ...base, leaves, comes, deaths, faults: planned };
}

const REFUSING = 0.35;
const REFUSED_MAX = 0.1;
const FALLS_MAX = 4;

/**
 * In a share of the runs parents' stores refuse a command now and then: whatever is done in several may end amid them. They
 * fall back more often there, for heads to be built up anew by several reads.
 */
function withRefusals(chance: Chance, plan: Plan): Plan {
  const redis = redisOf(plan);
  if (plan.isCalm || redis.length === 0 || !chance.isHit(REFUSING)) return plan;
  const refused = chance.between(0, REFUSED_MAX);
  const falls: Planned[] = Array.from({ length: chance.int(0, FALLS_MAX) }, () => ({
    at: chance.between(Math.min(2000, plan.activeMs), plan.activeMs),
    fault: {
      ...{ kind: 'store falls back', database: chance.of(redis) },
      ms: chance.between(0, 6000),
    },
  }));
  const faults = [...plan.faults, ...falls].sort((a, b) => a.at - b.at);
  return { ...plan, faults, parentLink: { ...plan.parentLink, refused } };
}

const DAMAGED = 0.35;
const DAMAGES_MAX = 3;
/** Readers of what is damaged are still to come. */
const AFTER_HEALING_MS = 4000;

/** Damage at rest, in a share of the runs. */
function withDamage(chance: Chance, plan: Plan): Plan {
  if (plan.isCalm || !chance.isHit(DAMAGED)) return plan;
  const parents = databasesOf(plan);
  const redis = redisOf(plan);
  const leaves = plan.leaves.map((leaf) => `db${leaf}`);
  const planned: Planned[] = [];
  for (let left = chance.int(1, DAMAGES_MAX); left > 0; left--) {
    const what = chance.of(['tile', 'tile', 'block', 'block', 'layout', 'document'] as const);
    // A folder with a damaged document is not opened.
    const places = what === 'document' ? redis : [...parents, ...parents, ...leaves];
    const [from, to] = [Math.min(2000, plan.activeMs), plan.activeMs + AFTER_HEALING_MS];
    const [at, how] = [chance.between(from, to), chance.of(['flip', 'cut'] as const)];
    if (places.length === 0) continue;
    const database = chance.of(places);
    planned.push({ at, fault: { kind: 'damage at rest', database, what, how } });
  }
  const faults = [...plan.faults, ...planned].sort((a, b) => a.at - b.at);
  return { ...plan, faults };
}

function moreKinds(chance: Chance, base: Base): Array<() => Fault | undefined> {
  const all = databasesOf(base);
  const redis = redisOf(base);
  const ofRedis = (make: (database: string) => Fault) => (): Fault | undefined =>
    redis.length === 0 ? undefined : make(chance.of(redis));
  const away = (): number => chance.between(200, 15_000);
  return [
    ofRedis((database) => ({ kind: 'store cut', database, writes: chance.int(1, 6) })),
    ofRedis((database) => ({
      ...{ kind: 'node falls back', database },
      ...{ node: chance.int(0, 1), ms: chance.between(0, 12_000) },
    })),
    () => ({
      ...{ kind: 'record damaged', back: chance.int(0, 40) },
      database: chance.of([...all, ...base.leaves.map((leaf) => `db${leaf}`)]),
    }),
    () => ({
      ...{ kind: 'kill and clock', machine: chance.of(base.leaves), away: away() },
      by: Math.round(chance.of([1, -1, -1]) * chance.of([2000, 20_000]) * chance.between(0, 1)),
    }),
    () => ({ kind: 'leaf loses disk', machine: chance.of(base.leaves), away: away() }),
  ];
}

function faultsOf(chance: Chance, base: Base): Planned[] {
  const machines = machinesOf(base);
  const redis = redisOf(base);
  const kinds: Array<() => Fault | undefined> = [
    () => ({ kind: 'kill', machine: chance.of(machines), away: chance.between(200, 15_000) }),
    () => ({ kind: 'kill', machine: chance.of(machines), away: chance.between(200, 2000) }),
    () => ({ kind: 'stop', machine: chance.of(machines), away: chance.between(200, 15_000) }),
    () => ({ kind: 'freeze', machine: chance.of(machines), ms: chance.between(100, 20_000) }),
    () => ({
      ...{ kind: 'clock', machine: chance.of(machines) },
      by: Math.round(
        chance.of([1, -1]) * chance.of([100, 700, 5000, 60_000]) * chance.between(0, 1),
      ),
    }),
    () => ({
      ...{ kind: 'cut', a: chance.of(machines), b: chance.of(machines) },
      ...{ how: chance.of(['reset', 'swallow'] as const), ms: chance.between(500, 30_000) },
    }),
    () => ({
      kind: chance.of(['store away', 'store slow'] as const),
      ...{ database: chance.of(databasesOf(base)), ms: chance.between(500, 20_000) },
    }),
    () =>
      redis.length === 0
        ? undefined
        : { kind: 'store falls back', database: chance.of(redis), ms: chance.between(0, 12_000) },
    () =>
      redis.length === 0 || chance.isHit(0.5)
        ? undefined
        : { kind: 'store wiped', database: chance.of(redis) },
    () => ({
      kind: chance.of(['target down', 'target hangs'] as const),
      ...{ target: chance.of(base.targets), ms: chance.between(500, 10_000) },
    }),
    () => ({
      ...{ kind: 'target moves', target: chance.of(base.targets), to: chance.of(base.leaves) },
      overlap: chance.between(-5000, 5000),
    }),
  ];
  const planned: Planned[] = [];
  for (let left = chance.int(0, 8); left > 0; left--) {
    const fault = chance.of(kinds)();
    if (fault !== undefined) planned.push({ at: chance.between(500, base.activeMs), fault });
  }
  return planned.sort((a, b) => a.at - b.at);
}

export function machinesOf(plan: Base): string[] {
  const names = [...plan.leaves, 'p1'];
  if (plan.hasStandby && !plan.isParentEmbedded) names.push('p2');
  if (plan.above !== 'none') names.push('g');
  if (plan.hasFiltered) names.push('f');
  return names;
}

export function databasesOf(plan: Base): string[] {
  const names: string[] = [DATABASES.parent];
  if (plan.above !== 'none') names.push(DATABASES.grand);
  if (plan.hasFiltered) names.push(DATABASES.filtered);
  return names;
}

/** Those that may lose what they acknowledged. */
const redisOf = (plan: Base): string[] =>
  databasesOf(plan).filter((name) => name !== DATABASES.parent || !plan.isParentEmbedded);
