/** Starts scraping: the gates, the fetcher and the schedule. */
import { parseKernel } from '@canopy/exposition';
import type { Gate, Journal, PullFormat } from '@canopy/model';
import { type Discovery, Gates, type ScrapeConfig, ScrapeManager } from '@canopy/scrape';
import pLimit from 'p-limit';
import type { LifeCycle } from '../life-cycle.js';
import type { Log } from '../log.js';
import type { RunningConfig } from './configuration.js';
import type { CanopyProcess } from './process.js';

const SERIES_PER_TARGET_MAX = 2_000_000;
const PULLS_AT_ONCE = 8;
/** Bodies on slow lines: as many again. */
const SLOW_AT_ONCE = 8;
/** Pages of sources that catch up: one is read while others come and are stored. */
const BEHIND_AT_ONCE = 4;

export interface ScrapingOptions {
  readonly journal: Journal;
  /** The jobs of a configuration, those of the role among them. */
  jobsOf(config: RunningConfig): readonly ScrapeConfig[];
  readonly discoveries: ReadonlyArray<{ readonly jobName: string; readonly discovery: Discovery }>;
  readonly pullFormat: PullFormat | undefined;
  readonly life: LifeCycle;
}

export function startScraping(process: CanopyProcess, options: ScrapingOptions): ScrapeManager {
  sayKernel(process.log);
  const { settings, clock, world, log } = process;
  const { life } = options;
  const network = world.connect({ pullsFrames: options.pullFormat !== undefined });
  life.add('connections to targets', network.close);
  const manager = new ScrapeManager({
    clock,
    journal: options.journal,
    fetcher: network.fetcher,
    resolver: network.resolver,
    kubernetes: network.kubernetes,
    gates: new Gates({
      text: gateOf(settings.scrapeConcurrency),
      pulls: gateOf(PULLS_AT_ONCE),
      slow: gateOf(SLOW_AT_ONCE),
      behind: gateOf(BEHIND_AT_ONCE),
    }),
    pullFormat: options.pullFormat,
    configs: options.jobsOf(process.config),
    externalLabels: process.externalLabels(process.config),
    enforcedLabels: settings.enforceLabels,
    discoveries: options.discoveries,
    offsetSeed: settings.name,
    limits: {
      seriesPerTargetMax: SERIES_PER_TARGET_MAX,
      targetsPerJobMax: 100_000,
      droppedTargetsMax: 1000,
    },
    log,
  });
  manager.start();
  process.scraping = manager;
  process.configuration.apply = (config) =>
    manager.reload(options.jobsOf(config), process.externalLabels(config));
  life.add('scraping', async () => {
    await manager.stop();
    process.scraping = undefined;
    process.configuration.apply = () => {};
  });
  return manager;
}

/** First come, first served, `places` at once. */
function gateOf(places: number): Gate {
  const limit = pLimit(places);
  return (task) => limit(task);
}

/** The fallback is as right and slower; it must not go unseen. */
function sayKernel(log: Log): void {
  const { kernel, problem } = parseKernel();
  if (kernel === 'wasm') return;
  log('warn', 'bodies are parsed without the WebAssembly kernel, at about twice the cost', {
    problem,
  });
}
