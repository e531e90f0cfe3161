/**
 * One job: its discoveries, and a loop for each target they found.
 */
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
import { FileDiscovery } from './discovery/file.js';
import { type LoopWorld, ScrapeLoop } from './loop.js';
import { compileRelabel } from './relabel.js';
import { endTime } from './schedule.js';
import { type Target, type TargetOutcome, makeTarget, targetKey } from './target.js';

export interface JobWorld extends LoopWorld {
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
  run: DiscoveryRun | undefined;
  groups: readonly TargetGroup[] | undefined;
}

/** What became of an address, and what tells its loop from others. */
interface MadeTarget {
  readonly key: string;
  readonly outcome: TargetOutcome;
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
  /** By address and labels of the group, as of the last look under the present configuration. */
  #made = new Map<string, MadeTarget>();
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
      this.#sources.push(this.#startSource(`extra ${index}`, discovery, []));
    }
    this.#openFiles();
    this.#sync();
  }

  reload(config: ScrapeConfig, externalLabels: Labels): void {
    const same =
      JSON.stringify([config, externalLabels]) ===
      JSON.stringify([this.#config, this.#externalLabels]);
    if (same) return;
    this.#config = config;
    this.#externalLabels = externalLabels;
    this.#made = new Map();
    this.#openFiles();
    this.#sync();
  }

  /** Ends without stale marks. */
  async stop(): Promise<void> {
    this.#stopped = true;
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

  /** Starts what is new of `fileSdConfigs`, keeps what is the same, ends the rest. */
  #openFiles(): void {
    const { clock, log, totals } = this.#world;
    const before = new Map(this.#sources.map((source) => [source.key, source]));
    const sources = this.#sources.filter((source) => source.key.startsWith('extra'));
    for (const config of this.#config.fileSdConfigs) {
      const key = `file ${JSON.stringify(config)}`;
      if (sources.some((source) => source.key === key)) continue;
      const report = (message: string, fields: Readonly<Record<string, unknown>>): void => {
        totals.discoveryErrors++;
        log('error', message, { job: this.#config.jobName, ...fields });
      };
      const kept = before.get(key);
      sources.push(
        kept ?? this.#startSource(key, new FileDiscovery(config, clock, report), undefined),
      );
    }
    for (const source of this.#sources) if (!sources.includes(source)) source.run?.stop();
    this.#sources = sources;
  }

  #startSource(
    key: string,
    discovery: Discovery,
    groups: readonly TargetGroup[] | undefined,
  ): Source {
    const source: Source = { key, run: undefined, groups };
    source.run = discovery.start((found) => {
      source.groups = found;
      if (!this.#stopped && this.#sources.includes(source)) this.#sync();
    });
    return source;
  }

  /** Makes the loops those of the targets found. Waits until every file was read once. */
  #sync(): void {
    if (this.#sources.some((source) => source.groups === undefined)) return;
    const config = this.#config;
    const wanted = this.#makeTargets();
    const metricRelabel = compileRelabel(config.metricRelabelConfigs);
    for (const [key, loop] of this.#loops) {
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
    }
  }

  #makeTargets(): Map<string, Target> {
    const { log, targetsPerJobMax, droppedTargetsMax } = this.#world;
    const config = this.#config;
    const make = this.#maker();
    const wanted = new Map<string, Target>();
    const dropped: DroppedTarget[] = [];
    let refused = 0;
    const groups = [...config.staticConfigs, ...this.#sources.flatMap((s) => s.groups ?? [])];
    for (const group of groups) {
      const labels = JSON.stringify(group.labels);
      for (const address of group.targets) {
        const { key, outcome } = make(group, address, labels);
        if (outcome.kind === 'target') {
          if (wanted.size < targetsPerJobMax || wanted.has(key)) wanted.set(key, outcome.target);
          else refused++;
        } else if (outcome.kind === 'dropped' && dropped.length < droppedTargetsMax) {
          const { discoveredLabels } = outcome;
          dropped.push({ scrapePool: config.jobName, discoveredLabels });
        }
      }
    }
    if (refused > 0) {
      log('error', 'too many targets in a job', { job: config.jobName, refused, targetsPerJobMax });
    }
    this.#dropped = dropped;
    return wanted;
  }

  /**
   * Makes targets of addresses; those made the last time are taken from there, for relabelling
   * thousands of addresses again at each change of one file would hold up everything else.
   */
  #maker(): (group: TargetGroup, address: string, labels: string) => MadeTarget {
    const { totals, log } = this.#world;
    const config = this.#config;
    const relabel = compileRelabel(config.relabelConfigs);
    const loopKey = loopConfigKey(config, this.#externalLabels);
    const before = this.#made;
    const made = new Map<string, MadeTarget>();
    this.#made = made;
    return (group, address, labels) => {
      const found = `${address}\n${labels}`;
      const known = made.get(found) ?? before.get(found);
      if (known !== undefined) {
        made.set(found, known);
        return known;
      }
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
      made.set(found, { key, outcome });
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
    relabelConfigs: [],
    targetLimit: 0,
  };
  return JSON.stringify([own, externalLabels]);
}
