/**
 * One run of a whole hierarchy in this process: the roles as they are, on virtual time, a network and stores that fail
 * as the seed says. Nothing in it waits for the machine it runs on.
 */
import {
  type JournalPosition,
  type JournalRef,
  comparePositions,
  journalIdOf,
} from '@canopy/model';
import { Canaries, type CanaryName } from './canaries.js';
import { CHECKERS } from './checkers/index.js';
import { type Outcome, isOver } from './checkers/outcome.js';
import { HEAL_MS_MAX, Hierarchy, isFiltered } from './hierarchy.js';
import { History } from './history.js';
import { type Level, type ReadSeries, readLevel } from './level.js';
import type { Machine, Site } from './machine.js';
import { Network } from './network.js';
import { type Plan, planOf } from './plan.js';
import { type Probe, planProbes } from './probes.js';
import { Chance } from './random.js';
import { watchRegistration } from './registration.js';
import { SimTime } from './time.js';
import { Trace } from './trace.js';
import { type Truth, originKey } from './truth.js';

export interface SimulationOptions {
  readonly seed: number;
  readonly canary?: CanaryName;
  /** The plan with something changed: for reducing what a seed has found. */
  readonly change?: (plan: Plan) => Plan;
  readonly say?: (line: string) => void;
}

export interface SimulationResult {
  readonly seed: number;
  readonly plan: Plan;
  /** What checkers said, `name: what`; empty where all is well. */
  readonly faults: readonly string[];
  /** Of everything that happened. */
  readonly digest: string;
  readonly lines: readonly string[];
  readonly events: number;
  readonly samples: number;
  /** What was done and disturbed, by its name. */
  readonly counts: Readonly<Record<string, number>>;
}

/** From healing on to the moment up to which everything must arrive. */
const GO_ON_MS = 5000;
const STEP_MS = 250;
/** Share of the runs that go on with registration. */
const WATCHED = 0.15;

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  using time = new SimTime();
  const plan = (options.change ?? ((same) => same))(planOf(options.seed));
  const trace = new Trace(() => time.now, options.say);
  const history = new History();
  const canaries = new Canaries(options.canary);
  const chance = (stream: string) => new Chance(options.seed, stream);
  const network = new Network(time, chance('network'), trace, history, canaries);
  Object.assign(network.weather, plan.network);
  const site: Site = {
    ...{ time, network, chance: chance('machines'), history, trace },
    ...{ deaths: { ...plan.deaths }, doom: chance('deaths'), epochs: chance('epochs'), canaries },
  };
  const hierarchy = new Hierarchy(plan, site, canaries);
  const probes: Probe[] = [];
  start(hierarchy);
  planProbes(hierarchy, probes);
  for (const { at, fault } of plan.faults) time.at(at, () => hierarchy.do(fault));
  await time.run(plan.activeMs);
  hierarchy.heal();
  const healed = time.now;
  await time.run(healed + GO_ON_MS);
  const upTo = new Map([...history.truths].map(([ref, { position }]) => [ref, position]));
  const isThere = await catchUp(hierarchy, upTo, healed + HEAL_MS_MAX);
  if (!isThere) {
    for (const text of missing(hierarchy, upTo)) history.fault('progress', text);
  } else await check(hierarchy, upTo, probes, canaries);
  const watched = chance('registration');
  if (isThere && watched.isHit(WATCHED)) await watchRegistration(hierarchy, watched);
  const samples = [...history.truths.values()].reduce((sum, truth) => sum + truth.samples, 0);
  trace.count('events', time.events);
  trace.count('machines', hierarchy.machines.size);
  trace.count('pages', history.pages);
  trace.count('samples journalled', samples);
  trace.count('scrapes answered', history.scraped.length);
  trace.count('snapshots read meanwhile', probes.length);
  return {
    ...{ seed: options.seed, plan, faults: history.faults, digest: trace.digest() },
    ...{ lines: trace.lines, events: time.events, samples, counts: trace.counts },
  };
}

function start(hierarchy: Hierarchy): void {
  const { plan, machines, site } = hierarchy;
  for (const [name, machine] of machines) {
    const comes = plan.comes[name] ?? 0;
    if (comes === 0) machine.start();
    else if (Number.isFinite(comes)) site.time.at(comes, () => machine.start());
  }
}

type Places = ReadonlyMap<JournalRef, JournalPosition>;

/** Lets time pass until every level has every journal up to its place. */
async function catchUp(hierarchy: Hierarchy, upTo: Places, end: number): Promise<boolean> {
  const { time } = hierarchy.site;
  while (time.now < end) {
    if (missing(hierarchy, upTo).length === 0) return true;
    await time.run(time.now + STEP_MS);
  }
  return false;
}

/** Who lacks what. */
function missing(hierarchy: Hierarchy, upTo: Places): string[] {
  const lacks: string[] = [];
  for (const machine of hierarchy.present()) {
    const { process, name } = machine;
    if (process === undefined || process.notReady !== '') {
      lacks.push(`${name} is not ready: ${process?.notReady ?? 'it does not run'}`);
      continue;
    }
    for (const truth of truthsOf(hierarchy, machine)) {
      const wanted = isOver(hierarchy, truth)
        ? leftAt(hierarchy, machine, truth)
        : upTo.get(truth.ref);
      // Of what its store lost whole nothing is owed.
      if (wanted === undefined || wanted.epoch === 0) continue;
      const has = headPosition(machine, truth);
      if (has !== undefined && comparePositions(has, wanted) >= 0) continue;
      const hasText = has === undefined ? 'nothing' : originKey(has);
      lacks.push(`${name} has ${hasText} of ${truth.writer}, not ${originKey(wanted)}`);
    }
  }
  return lacks;
}

/** Of a journal that nobody writes any more the level above a parent must get what the parent has. */
function leftAt(
  { databases }: Hierarchy,
  { name }: Machine,
  { ref }: Truth,
): JournalPosition | undefined {
  return name === 'g' ? databases.get('dbp')!.store.position(ref) : undefined;
}

function truthsOf(hierarchy: Hierarchy, machine: Machine) {
  const { history } = hierarchy.site;
  const writers = new Set([machine.options.database.options.name]);
  if (machine.options.role === 'parent') {
    for (const leaf of hierarchy.plan.leaves) writers.add(`db${leaf}`);
  }
  if (machine.name === 'g') writers.add('dbp');
  return [...history.truths.values()].filter(({ writer }) => writers.has(writer));
}

/** How far a process has taken in a journal: by what it stored, for a filter lets entries pass by. */
function headPosition(machine: Machine, { ref, writer }: Truth): JournalPosition | undefined {
  const { process } = machine;
  // Its own journals, earlier ones too, nobody filters.
  const isWhole = machine.name !== 'f' || writer === machine.options.database.options.name;
  if (isWhole) return process?.head.position(ref);
  const statuses = process?.puller?.journals() ?? [];
  return statuses.find((status) => journalIdOf(status.ref) === journalIdOf(ref))?.position;
}

async function check(
  hierarchy: Hierarchy,
  upTo: Places,
  probes: readonly Probe[],
  canaries: Canaries,
): Promise<void> {
  const { time, history } = hierarchy.site;
  const levels: Level[] = [];
  let left = hierarchy.present().length;
  for (const machine of hierarchy.present()) {
    const takes = machine.name === 'f' ? isFiltered : () => true;
    const { database } = machine.options;
    const beside = hierarchy.present().filter(({ options }) => options.database === database);
    readLevel(machine, beside, takes, time).then(
      (level) => {
        canaries.spoilRead(hierarchy, machine.name, level.series as Map<string, ReadSeries>);
        canaries.spoilLevel(level);
        if (canaries.leaksAt(machine.name)) machine.process?.head.snapshot();
        levels.push(level);
        left--;
      },
      (error: unknown) => {
        history.fault('bugs', `${machine.name} cannot be read: ${String(error)}`);
        left--;
      },
    );
  }
  await time.run(time.now + 60_000, () => left === 0);
  if (left > 0) return history.fault('progress', 'a level could not be read within a minute');
  const order = [...hierarchy.machines.keys()];
  levels.sort((a, b) => order.indexOf(a.machine.name) - order.indexOf(b.machine.name));
  const outcome: Outcome = { hierarchy, history, levels, probes, upTo };
  for (const [name, checker] of Object.entries(CHECKERS)) {
    for (const text of checker(outcome)) history.fault(name, text);
  }
}
