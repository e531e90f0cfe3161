/**
 * One job: its discoveries, and a loop for each target they found.
 */
import { createHash } from 'node:crypto';
import {
  CanopyError,
  type DroppedTarget,
  type Labels,
  type Milliseconds,
  type TargetStatus,
  type Timer,
  asDuration,
  errorText,
  labelsKey,
} from '@canopy/model';
import type { ScrapeConfig, TargetGroup } from './config.js';
import type { Discovery, DiscoveryRun } from './discovery/discovery.js';
import { type DiscoveryWorld, configuredDiscoveries } from './discovery/open.js';
import { type LoopWorld, ScrapeLoop } from './loop.js';
import { compileRelabel } from './relabel.js';
import { endTime } from './schedule.js';
import { type SlicedRun, runSliced } from './slices.js';
import { type Target, type TargetOutcome, makeTarget, targetKey } from './target.js';

export interface JobWorld extends LoopWorld, DiscoveryWorld {
  readonly targetsPerJobMax: number;
  readonly droppedTargetsMax: number;
  readonly live: LiveLoops;
}

/** Loops by the labels of their targets: who goes on where a removed loop ended. */
export class LiveLoops {
  readonly #byLabels = new Map<string, ScrapeLoop>();

  add(loop: ScrapeLoop): void {
    this.#byLabels.set(labelsKey(loop.target.labels), loop);
  }

  remove(loop: ScrapeLoop): void {
    const key = labelsKey(loop.target.labels);
    if (this.#byLabels.get(key) === loop) this.#byLabels.delete(key);
  }

  successorOf(loop: ScrapeLoop): ScrapeLoop | undefined {
    return this.#byLabels.get(labelsKey(loop.target.labels));
  }
}

/** One source of groups; `groups` undefined until it has said something. */
interface Source {
  readonly key: string;
  readonly kind: string;
  run: DiscoveryRun | undefined;
  groups: readonly TargetGroup[] | undefined;
}

/** What became of an address, and what tells its loop from others. */
interface MadeTarget {
  readonly key: string;
  readonly outcome: TargetOutcome;
}

/** What became of the addresses of one group. */
type MadeGroup = Map<string, MadeTarget>;

/**
 * Targets that were made the last time, for relabelling thousands of addresses again at each
 * change of one costs seconds of CPU where changes are frequent. A group that is the same object is found
 * at once; of groups with many addresses, one with the same labels serves, too.
 */
class MadeTargets {
  readonly #byGroup = new Map<TargetGroup, MadeGroup>();
  readonly #byLabels = new Map<string, MadeGroup>();

  /** Of `group`, taken over from `before` where it was known there. */
  of(group: TargetGroup, before: MadeTargets): MadeGroup {
    let made = this.#byGroup.get(group) ?? before.#byGroup.get(group);
    if (made === undefined && group.targets.length <= 1) made = new Map();
    if (group.targets.length > 1) {
      const labels = JSON.stringify(group.labels);
      made ??= this.#byLabels.get(labels) ?? stillThere(before.#byLabels.get(labels), group);
      this.#byLabels.set(labels, made);
    }
    made ??= new Map();
    this.#byGroup.set(group, made);
    return made;
  }
}

/** Without addresses that are gone. */
function stillThere(made: MadeGroup | undefined, group: TargetGroup): MadeGroup {
  const kept: MadeGroup = new Map();
  for (const address of group.targets) {
    const known = made?.get(address);
    if (known !== undefined) kept.set(address, known);
  }
  return kept;
}

export class ScrapeJob {
  readonly #world: JobWorld;
  readonly #extra: readonly Discovery[];
  #config: ScrapeConfig;
  #externalLabels: Labels;
  #sources: Source[] = [];
  readonly #loops = new Map<string, ScrapeLoop>();
  /** Removed loops whose series are still to be ended. */
  readonly #ending = new Map<ScrapeLoop, { readonly timer: Timer; readonly tick: Milliseconds }>();
  #dropped: DroppedTarget[] = [];
  /** By address, then by group, as of the last look under the present configuration. */
  #made = new MadeTargets();
  #syncing: SlicedRun | undefined;
  /** Something has changed since the look under way began. */
  #syncAgain = false;
  #stopped = false;

  constructor(
    world: JobWorld,
    config: ScrapeConfig,
    externalLabels: Labels,
    extra: readonly Discovery[],
  ) {
    this.#world = world;
    this.#config = config;
    this.#externalLabels = externalLabels;
    this.#extra = extra;
  }

  start(): void {
    for (const [index, discovery] of this.#extra.entries()) {
      // They may take their time; the job's own lists do not wait for them.
      this.#sources.push(this.#startSource(`extra ${index}`, 'extra', discovery, []));
    }
    this.#openSources();
    this.#sync();
  }

  reload(config: ScrapeConfig, externalLabels: Labels): void {
    const same =
      JSON.stringify([config, externalLabels]) ===
      JSON.stringify([this.#config, this.#externalLabels]);
    if (same) return;
    this.#config = config;
    this.#externalLabels = externalLabels;
    this.#made = new MadeTargets();
    this.#endSync();
    this.#openSources();
    this.#sync();
  }

  /** Ends without stale marks. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endSync();
    for (const source of this.#sources) source.run?.stop();
    for (const { timer } of this.#ending.values()) timer.cancel();
    const loops = [...this.#loops.values(), ...this.#ending.keys()];
    this.#loops.clear();
    this.#ending.clear();
    await Promise.all(loops.map((loop) => loop.stop()));
    for (const loop of loops) {
      this.#world.live.remove(loop);
      loop.close();
    }
  }

  /** Removed from the configuration: every target ends, with stale marks; then the job is stopped. */
  async remove(): Promise<void> {
    this.#stopped = true;
    this.#endSync();
    for (const source of this.#sources) source.run?.stop();
    this.#sources = [];
    const ends = [...this.#loops.values()].map((loop) => this.#retire(loop));
    this.#loops.clear();
    await Promise.all(ends);
  }

  /** The earliest time at which series of removed targets are still to be ended; Infinity for none. */
  earliestEnd(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const [loop, { tick }] of this.#ending) {
      earliest = Math.min(earliest, this.#endTime(loop, tick));
    }
    return earliest;
  }

  active(): TargetStatus[] {
    return Array.from(this.#loops.values(), (loop) => loop.status());
  }

  dropped(): readonly DroppedTarget[] {
    return this.#dropped;
  }

  /** Starts what is new of the `*_sd_configs`, keeps what is the same, ends the rest. */
  #openSources(): void {
    const { log, totals } = this.#world;
    const before = new Map(this.#sources.map((source) => [source.key, source]));
    const sources = this.#sources.filter((source) => source.kind === 'extra');
    this.#sources = sources;
    const report = (message: string, fields: Readonly<Record<string, unknown>>): void => {
      totals.discoveryErrors++;
      log('error', message, { job: this.#config.jobName, ...fields });
    };
    const opened = new Set<string>();
    for (const { key, kind, open } of configuredDiscoveries(this.#config, this.#world)) {
      if (opened.has(key)) continue;
      opened.add(key);
      const kept = before.get(key);
      before.delete(key);
      // Files are read at once. Others may take their time, and what a source of
      // this kind had found stays until the one that follows it has spoken.
      const replaced = [...before.values()].find((source) => source.kind === kind);
      const groups = kind === 'file' ? undefined : (replaced?.groups ?? []);
      sources.push(kept ?? this.#startSource(key, kind, open(report), groups));
    }
    for (const source of before.values()) if (source.kind !== 'extra') source.run?.stop();
  }

  #startSource(
    key: string,
    kind: string,
    discovery: Discovery,
    groups: readonly TargetGroup[] | undefined,
  ): Source {
    const source: Source = { key, kind, run: undefined, groups };
    source.run = discovery.start((found) => {
      source.groups = found;
      if (!this.#stopped && this.#sources.includes(source)) this.#sync();
    });
    return source;
  }

  /** Makes the loops those of the targets found. Waits until every file was read once. */
  #sync(): void {
    if (this.#sources.some((source) => source.groups === undefined)) return;
    if (this.#syncing !== undefined) {
      this.#syncAgain = true;
      return;
    }
    let isDone = false;
    const run = runSliced(this.#world.clock, this.#syncSteps(), () => {
      isDone = true;
      this.#syncing = undefined;
      if (!this.#syncAgain) return;
      this.#syncAgain = false;
      this.#sync();
    });
    // Most jobs are done by now.
    if (!isDone) this.#syncing = run;
  }

  #endSync(): void {
    this.#syncing?.cancel();
    this.#syncing = undefined;
    this.#syncAgain = false;
  }

  /** Each step is one address or one loop. */
  *#syncSteps(): Generator<void, void, void> {
    const config = this.#config;
    const wanted = new Map<string, Target>();
    yield* this.#makeTargets(wanted);
    const metricRelabel = compileRelabel(config.metricRelabelConfigs);
    for (const [key, loop] of this.#loops) {
      yield;
      if (wanted.has(key)) continue;
      this.#loops.delete(key);
      void this.#retire(loop);
    }
    const tooMany = config.targetLimit > 0 && wanted.size > config.targetLimit;
    const forcedError = tooMany
      ? new CanopyError(
          'limit',
          `target_limit exceeded (number of targets: ${wanted.size}, limit: ${config.targetLimit})`,
        )
      : undefined;
    for (const [key, target] of wanted) {
      let loop = this.#loops.get(key);
      if (loop === undefined) {
        const externalLabels = this.#externalLabels;
        loop = new ScrapeLoop(this.#world, { target, config, metricRelabel, externalLabels });
        this.#loops.set(key, loop);
        this.#world.live.add(loop);
        loop.start();
      }
      loop.target = target;
      loop.forcedError = forcedError;
      yield;
    }
  }

  *#makeTargets(wanted: Map<string, Target>): Generator<void, void, void> {
    const { log, targetsPerJobMax } = this.#world;
    const config = this.#config;
    const droppedMax = config.keepDroppedTargets || this.#world.droppedTargetsMax;
    const make = this.#maker();
    const dropped: DroppedTarget[] = [];
    let refused = 0;
    const groups = [...config.staticConfigs, ...this.#sources.flatMap((s) => s.groups ?? [])];
    const made = new MadeTargets();
    for (const group of groups) {
      const ofGroup = made.of(group, this.#made);
      for (const address of group.targets) {
        let known = ofGroup.get(address);
        if (known === undefined) {
          known = make(group, address);
          ofGroup.set(address, known);
        }
        const { key, outcome } = known;
        if (outcome.kind === 'target') {
          if (wanted.size < targetsPerJobMax || wanted.has(key)) wanted.set(key, outcome.target);
          else refused++;
        } else if (outcome.kind === 'dropped' && dropped.length < droppedMax) {
          const { discoveredLabels } = outcome;
          dropped.push({ scrapePool: config.jobName, discoveredLabels });
        }
        yield;
      }
    }
    if (refused > 0) {
      log('error', 'too many targets in a job', { job: config.jobName, refused, targetsPerJobMax });
    }
    this.#made = made;
    this.#dropped = dropped;
  }

  /** Makes a target of an address. */
  #maker(): (group: TargetGroup, address: string) => MadeTarget {
    const { totals, log } = this.#world;
    const config = this.#config;
    const relabel = compileRelabel(config.relabelConfigs);
    const loopKey = loopConfigKey(config, this.#externalLabels);
    return (group, address) => {
      const outcome = makeTarget(config, relabel, group, address);
      let key = '';
      if (outcome.kind === 'target') {
        const { target } = outcome;
        key = `${targetKey(target)}\n${target.interval} ${target.timeout}\n${loopKey}`;
      } else if (outcome.kind === 'invalid') {
        totals.invalidTargets++;
        const { reason } = outcome;
        const fields = { job: config.jobName, address, source: group.source, reason };
        log('warn', 'target cannot be scraped', fields);
      }
      return { key, outcome };
    };
  }

  /** Stops a loop and ends its series at its next tick, unless the process stops before. */
  #retire(loop: ScrapeLoop): Promise<void> {
    const { clock, live } = this.#world;
    live.remove(loop);
    const tick = loop.nextTick();
    const stopped = loop.stop();
    return new Promise((resolve) => {
      const end = async (): Promise<void> => {
        await stopped;
        if (this.#ending.delete(loop)) this.#end(loop, tick);
        resolve();
      };
      const timer = clock.after(asDuration(tick - clock.now()), () => void end());
      this.#ending.set(loop, { timer, tick });
    });
  }

  #end(loop: ScrapeLoop, tick: Milliseconds): void {
    const { log } = this.#world;
    try {
      loop.writeEnd(this.#endTime(loop, tick));
    } catch (error) {
      const fields = { url: loop.target.url, error: errorText(error) };
      log('error', 'series of a removed target could not be ended', fields);
    }
    loop.close();
  }

  #endTime(loop: ScrapeLoop, tick: Milliseconds): Milliseconds {
    return endTime(tick, loop.lastTime, this.#world.live.successorOf(loop)?.firstTime);
  }
}

/** What, when changed, makes another loop of the same target. */
function loopConfigKey(config: ScrapeConfig, externalLabels: Labels): string {
  const own: Partial<ScrapeConfig> = {
    ...config,
    staticConfigs: [],
    fileSdConfigs: [],
    httpSdConfigs: [],
    dnsSdConfigs: [],
    kubernetesSdConfigs: [],
    relabelConfigs: [],
    targetLimit: 0,
    keepDroppedTargets: 0,
  };
  // Part of the key of thousands of targets: a hash, for what is long costs at each look.
  return createHash('md5')
    .update(JSON.stringify([own, externalLabels]))
    .digest('base64');
}
