/** Starts scraping: the gates, the fetcher and the schedule. */
import { parseKernel } from '@canopy/exposition';
import type { DurationMs, Journal, PullFormat } from '@canopy/model';
import {
  type Discovery,
  HttpFetcher,
  KubernetesConnector,
  SERVICE_ACCOUNT_FOLDER,
  type ScrapeConfig,
  ScrapeManager,
  SocketFetcher,
  SystemResolver,
} from '@canopy/scrape';
import pLimit from 'p-limit';
import { systemClock } from '../clock.js';
import type { LoadedConfig } from '../config/load.js';
import type { LifeCycle } from '../life-cycle.js';
import type { Log } from '../log.js';
import { VERSION } from '../version.js';
import type { CanopyProcess } from './process.js';

const BODY_BYTES_MAX = 256 * 1024 * 1024;
const SERIES_PER_TARGET_MAX = 2_000_000;
const PULLS_AT_ONCE = 8;
const IDLE_TIMEOUT = (5 * 60_000) as DurationMs;

export interface ScrapingOptions {
  readonly journal: Journal;
  /** The jobs of a configuration, those of the role among them. */
  jobsOf(config: LoadedConfig): readonly ScrapeConfig[];
  readonly discoveries: ReadonlyArray<{ readonly jobName: string; readonly discovery: Discovery }>;
  readonly pullFormat: PullFormat | undefined;
  readonly life: LifeCycle;
}

export function startScraping(process: CanopyProcess, options: ScrapingOptions): ScrapeManager {
  sayKernel(process.log);
  const { settings, log } = process;
  const { life } = options;
  const bodies = pLimit(settings.scrapeConcurrency);
  const pulls = pLimit(PULLS_AT_ONCE);
  const fetching = {
    clock: systemClock,
    userAgent: `Canopy/${VERSION}`,
    bodyBytesMax: BODY_BYTES_MAX,
    idleTimeout: IDLE_TIMEOUT,
  };
  const http = new HttpFetcher({ ...fetching, env: globalThis.process.env });
  life.add('connections to targets', () => http[Symbol.dispose]());
  const plain = new SocketFetcher({ ...fetching, fallback: http });
  life.add('plain connections to targets', () => plain[Symbol.dispose]());
  // Pages of frames are taken apart without a copy, so their buffers cannot be used again.
  const fetcher = options.pullFormat === undefined ? plain : http;
  const kubernetes = new KubernetesConnector({
    clock: systemClock,
    env: globalThis.process.env,
    serviceAccountFolder: SERVICE_ACCOUNT_FOLDER,
    userAgent: `Canopy/${VERSION}`,
  });
  life.add('connections to Kubernetes', () => kubernetes[Symbol.dispose]());
  const manager = new ScrapeManager({
    clock: systemClock,
    journal: options.journal,
    fetcher,
    resolver: new SystemResolver({ resolvConf: '/etc/resolv.conf' }),
    kubernetes,
    gate: (task) => bodies(task),
    pullGate: (task) => pulls(task),
    pullFormat: options.pullFormat,
    configs: options.jobsOf(process.config),
    externalLabels: process.externalLabels(process.config),
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

/** The fallback is as right and slower; it must not go unseen. */
function sayKernel(log: Log): void {
  const { kernel, problem } = parseKernel();
  if (kernel === 'wasm') return;
  log('warn', 'bodies are parsed without the WebAssembly kernel, at about twice the cost', {
    problem,
  });
}
