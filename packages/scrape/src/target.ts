/**
 * From an address to a target: labels as Prometheus populates them (scrape/target.go), the URL,
 * and the place of its scrapes within the interval.
 */
import { createHash } from 'node:crypto';
import {
  CanopyError,
  type DurationMs,
  type Labels,
  compareUtf8,
  formatDuration,
  labelsKey,
  parseDuration,
} from '@canopy/model';
import type { ScrapeConfig, TargetGroup } from './config.js';
import { LabelBuilder } from './label-builder.js';
import type { Relabel } from './relabel.js';
import { offsetGrid } from './schedule.js';

const ADDRESS = '__address__';
const METRICS_PATH = '__metrics_path__';
const SCHEME = '__scheme__';
const INTERVAL = '__scrape_interval__';
const TIMEOUT = '__scrape_timeout__';
const PARAM_PREFIX = '__param_';
const RESERVED_PREFIX = '__';

/** One target, ready to be scraped. */
export interface Target {
  readonly jobName: string;
  /** As found, before relabelling. */
  readonly discoveredLabels: Labels;
  /** What its series get: no `__…` label. */
  readonly labels: Labels;
  readonly url: string;
  readonly interval: DurationMs;
  readonly timeout: DurationMs;
}

/** What became of one address of a group. */
export type TargetOutcome =
  | { readonly kind: 'target'; readonly target: Target }
  /** A relabelling rule dropped it. */
  | { readonly kind: 'dropped'; readonly discoveredLabels: Labels }
  /** It cannot be scraped as it is. */
  | { readonly kind: 'invalid'; readonly discoveredLabels: Labels; readonly reason: string };

/** `relabel` is the job's compiled `relabelConfigs`. */
export function makeTarget(
  config: ScrapeConfig,
  relabel: Relabel,
  group: TargetGroup,
  address: string,
): TargetOutcome {
  const builder = new LabelBuilder();
  discover(builder, config, group, address);
  const discoveredLabels = builder.labels();
  if (!relabel(builder)) return { kind: 'dropped', discoveredLabels };
  try {
    return { kind: 'target', target: finish(builder, config, discoveredLabels) };
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    return { kind: 'invalid', discoveredLabels, reason: error.message };
  }
}

function discover(
  builder: LabelBuilder,
  config: ScrapeConfig,
  group: TargetGroup,
  address: string,
): void {
  for (const [name, value] of Object.entries(group.labels)) builder.set(name, value);
  builder.set(ADDRESS, address);
  const setDefault = (name: string, value: string): void => {
    if (builder.get(name) === '') builder.set(name, value);
  };
  setDefault('job', config.jobName);
  setDefault(INTERVAL, formatDuration(config.scrapeInterval));
  setDefault(TIMEOUT, formatDuration(config.scrapeTimeout));
  setDefault(METRICS_PATH, config.metricsPath);
  setDefault(SCHEME, config.scheme);
  for (const [name, values] of Object.entries(config.params)) {
    if (values.length > 0) setDefault(PARAM_PREFIX + name, values[0]);
  }
}

function finish(builder: LabelBuilder, config: ScrapeConfig, discoveredLabels: Labels): Target {
  const address = builder.get(ADDRESS);
  if (address === '') throw refuse('no address');
  if (address.includes('/')) throw refuse(`"${address}" is not a valid hostname`);
  const interval = readDuration('interval', builder.get(INTERVAL));
  const timeout = readDuration('timeout', builder.get(TIMEOUT));
  if (timeout > interval) {
    throw refuse(
      `scrape timeout cannot be greater than scrape interval ` +
        `("${builder.get(TIMEOUT)}" > "${builder.get(INTERVAL)}")`,
    );
  }
  const url = scrapeUrl(builder, config, address);
  // Only now: an expression may have made `instance` of a `__meta_…` label.
  if (builder.get('instance') === '') builder.set('instance', address);
  builder.forEach((name) => {
    if (name.startsWith(RESERVED_PREFIX)) builder.delete(name);
  });
  return {
    jobName: config.jobName,
    discoveredLabels,
    labels: builder.labels(),
    url,
    interval,
    timeout,
  };
}

function readDuration(what: string, text: string): DurationMs {
  let duration: DurationMs;
  try {
    duration = parseDuration(text);
  } catch (error) {
    throw refuse(`error parsing scrape ${what}: ${(error as Error).message}`);
  }
  if (duration === 0) throw refuse(`scrape ${what} cannot be 0`);
  return duration;
}

function scrapeUrl(builder: LabelBuilder, config: ScrapeConfig, address: string): string {
  const params = new Map<string, string[]>();
  for (const [name, values] of Object.entries(config.params)) params.set(name, [...values]);
  builder.forEach((name, value) => {
    if (!name.startsWith(PARAM_PREFIX)) return;
    const values = params.get(name.slice(PARAM_PREFIX.length));
    if (values !== undefined && values.length > 0) values[0] = value;
    else params.set(name.slice(PARAM_PREFIX.length), [value]);
  });
  const scheme = builder.get(SCHEME);
  if (scheme !== 'http' && scheme !== 'https') {
    throw refuse(`unsupported protocol scheme "${scheme}"`);
  }
  const base = `${scheme}://${address}`;
  if (!URL.canParse(base)) throw refuse(`"${address}" is not a valid hostname`);
  const url = new URL(base);
  if (url.username !== '' || url.search !== '' || url.hash !== '') {
    throw refuse(`"${address}" is not a valid hostname`);
  }
  url.pathname = builder.get(METRICS_PATH).replaceAll('%', '%25');
  for (const name of [...params.keys()].sort(compareUtf8)) {
    for (const value of params.get(name) ?? []) url.searchParams.append(name, value);
  }
  // Not `href`: the address stays as it was written (`:80` included).
  return base + url.pathname + url.search;
}

function refuse(message: string): CanopyError {
  return new CanopyError('config_invalid', message);
}

/** Equal for targets that are the same one: labels and URL. */
export function targetKey(target: Target): string {
  return `${labelsKey(target.labels)}\n${target.url}`;
}

/**
 * Where in its interval a target is scraped, [0, interval) in milliseconds: spread by a hash over a grid,
 * the same after every restart. `seed` differs between processes that scrape the same targets.
 */
export function scrapeOffset(target: Target, seed: string): number {
  const hash = createHash('md5')
    .update(`${seed}\n${targetKey(target)}`)
    .digest();
  const offset = hash.readUIntBE(0, 6) % target.interval;
  return offset - (offset % offsetGrid(target.interval));
}
