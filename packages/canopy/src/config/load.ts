/**
 * Reads a configuration: YAML with places, then the schema, then the rules that span keys.
 * Every complaint names file, line, column and key.
 */
import { dirname, resolve } from 'node:path';
import {
  CanopyError,
  type DurationMs,
  type Labels,
  isLegacyLabelName,
  labelsFromObject,
} from '@canopy/model';
import type { RelabelConfig, ScrapeConfig } from '@canopy/scrape';
import { dnsSdOf, httpSdOf, kubernetesSdOf } from './discovery.js';
import { formatsOf, nameSchemes } from './formats.js';
import { httpClientOf } from './http-client.js';
import { legacyFault } from './legacy-names.js';
import { maskedYaml } from './mask.js';
import { filesOfPattern } from './patterns.js';
import { ConfigReader, type IgnoredKey, type KeyPath } from './reader.js';
import {
  DEFAULT_SCRAPE_TIMEOUT,
  type RawConfig,
  type RawRelabel,
  type RawScrapeConfig,
  configSchema,
  scrapeFileSchema,
} from './schema.js';

export type { IgnoredKey } from './reader.js';

export interface LoadedConfig {
  readonly file: string;
  readonly globalScrapeInterval: DurationMs;
  readonly externalLabels: Labels;
  readonly outOfOrderTimeWindow: DurationMs;
  readonly scrapeConfigs: readonly ScrapeConfig[];
  readonly ignored: readonly IgnoredKey[];
  /** The file's YAML with secrets masked, for `/api/v1/status/config`. */
  readonly maskedText: string;
}

export interface LoadOptions {
  /** Reads a file as text; throws as `node:fs` does. */
  readFile(path: string): string;
  /** Names in a folder, for `*` in `scrape_config_files`; throws as `node:fs` does. */
  listFolder(path: string): readonly string[];
  /** For `${VAR}` in external labels. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where `global.scrape_interval` is not given. */
  readonly defaultScrapeInterval: DurationMs;
}

/**
 * Reads and checks a configuration file.
 * @throws CanopyError `config_invalid` with `file:line:column: key: what is wrong`.
 */
export function loadConfig(path: string, options: LoadOptions): LoadedConfig {
  const reader = openFile(path, options);
  const tree = reader.tree();
  const maskedText = maskedYaml(tree);
  reader.sift(tree);
  const parsed = configSchema.safeParse(tree);
  if (!parsed.success) throw reader.schemaError(parsed.error);
  return assemble(reader, parsed.data, maskedText, options);
}

function openFile(path: string, options: LoadOptions): ConfigReader {
  try {
    return new ConfigReader(path, options.readFile(path));
  } catch (error) {
    if (error instanceof CanopyError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'no such file' : String((error as Error).message);
    throw new CanopyError('config_invalid', `${path}: cannot read the configuration: ${why}`);
  }
}

/** A scrape configuration and the file it stands in. */
interface PlacedJob {
  readonly reader: ConfigReader;
  readonly at: KeyPath;
  readonly raw: RawScrapeConfig;
}

function assemble(
  reader: ConfigReader,
  raw: RawConfig,
  maskedText: string,
  options: LoadOptions,
): LoadedConfig {
  const { global } = raw;
  // As everywhere in Prometheus's configuration, 0 is the same as leaving it out.
  const globalInterval = global.scrape_interval || options.defaultScrapeInterval;
  if ((global.scrape_timeout ?? 0) > globalInterval) {
    const at = ['global', 'scrape_timeout'];
    throw reader.errorAt(at, 'global scrape timeout greater than scrape interval');
  }
  const globalTimeout = global.scrape_timeout || lesser(DEFAULT_SCRAPE_TIMEOUT, globalInterval);
  checkExternalLabels(reader, global);
  const jobs = raw.scrape_configs.map((job, index) => placed(reader, job, index));
  const readers = [reader];
  for (const path of filesOf(reader, raw.scrape_config_files, options)) {
    const included = openFile(path, options);
    readers.push(included);
    jobs.push(...readScrapeFile(included));
  }
  const seen = new Set<string>();
  const scrapeConfigs = jobs.map((job): ScrapeConfig => {
    const { job_name: name } = job.raw;
    if (seen.has(name)) {
      const why = `found multiple scrape configs with job name "${name}"`;
      throw job.reader.errorAt([...job.at, 'job_name'], why);
    }
    seen.add(name);
    return scrapeConfigOf(job, global, checkedTimes(job, globalInterval, globalTimeout));
  });
  const labels = Object.entries(global.external_labels).map(
    ([name, value]) => [name, expandEnv(value, options.env)] as const,
  );
  return {
    file: reader.file,
    globalScrapeInterval: globalInterval,
    externalLabels: labelsFromObject(Object.fromEntries(labels)),
    outOfOrderTimeWindow: raw.storage.tsdb.out_of_order_time_window,
    scrapeConfigs,
    ignored: readers.flatMap(({ ignored }) => ignored),
    maskedText,
  };
}

function placed(reader: ConfigReader, raw: RawScrapeConfig, index: number): PlacedJob {
  return { reader, at: ['scrape_configs', index], raw };
}

function readScrapeFile(reader: ConfigReader): PlacedJob[] {
  const tree = reader.tree();
  reader.sift(tree);
  const parsed = scrapeFileSchema.safeParse(tree);
  if (!parsed.success) throw reader.schemaError(parsed.error);
  return parsed.data.scrape_configs.map((job, index) => placed(reader, job, index));
}

/** Files that patterns of `scrape_config_files` name, those of one pattern in order of name. */
function filesOf(
  reader: ConfigReader,
  patterns: readonly string[],
  options: LoadOptions,
): readonly string[] {
  const folder = dirname(resolve(reader.file));
  return patterns.flatMap((pattern, index) => {
    const path = resolve(folder, pattern);
    try {
      return filesOfPattern(path, (name) => options.listFolder(name));
    } catch (error) {
      throw reader.errorAt(['scrape_config_files', index], String((error as Error).message));
    }
  });
}

/** With the scheme of old, names are refused that are not of old; `labels` of targets never are. */
function checkExternalLabels(reader: ConfigReader, global: RawConfig['global']): void {
  if (global.metric_name_validation_scheme !== 'legacy') return;
  for (const name of Object.keys(global.external_labels)) {
    if (isLegacyLabelName(name)) continue;
    throw reader.errorAt(
      ['global', 'external_labels', name],
      `"${name}" is not a valid label name`,
    );
  }
}

interface Times {
  readonly interval: DurationMs;
  readonly timeout: DurationMs;
}

const lesser = (a: DurationMs, b: DurationMs): DurationMs => (a < b ? a : b);

function checkedTimes(
  { reader, at, raw }: PlacedJob,
  globalInterval: DurationMs,
  globalTimeout: DurationMs,
): Times {
  const interval = raw.scrape_interval || globalInterval;
  const timeout = raw.scrape_timeout || lesser(globalTimeout, interval);
  if (timeout <= interval) return { interval, timeout };
  throw reader.errorAt(
    [...at, 'scrape_timeout'],
    `scrape timeout greater than scrape interval for scrape config with job name "${raw.job_name}"`,
  );
}

/** How names are checked in a job; refuses schemes that contradict each other and rules that contradict them. */
function checkedNames({ reader, at, raw }: PlacedJob, global: RawConfig['global']): boolean {
  const { validation, wrong } = nameSchemes(raw, global);
  if (wrong !== '') throw reader.errorAt(at, wrong);
  if (validation === 'utf8') return false;
  for (const key of ['relabel_configs', 'metric_relabel_configs'] as const) {
    raw[key].forEach((rule, index) => {
      const fault = legacyFault(rule);
      if (fault !== '') throw reader.errorAt([...at, key, index], fault);
    });
  }
  return true;
}

function scrapeConfigOf(
  placedJob: PlacedJob,
  global: RawConfig['global'],
  { interval, timeout }: Times,
): ScrapeConfig {
  const { reader, raw: job } = placedJob;
  const legacyNames = checkedNames(placedJob, global);
  const ruleOf = (rule: RawRelabel): RelabelConfig => relabelOf(rule, legacyNames);
  const folder = dirname(resolve(reader.file));
  const absolute = (path: string): string => resolve(folder, path);
  const failureLog = job.scrape_failure_log_file || global.scrape_failure_log_file;
  return {
    jobName: job.job_name,
    scrapeInterval: interval,
    scrapeTimeout: timeout,
    metricsPath: job.metrics_path,
    scheme: job.scheme,
    params: job.params,
    honorLabels: job.honor_labels,
    honorTimestamps: job.honor_timestamps,
    trackTimestampsStaleness: job.track_timestamps_staleness,
    extraScrapeMetrics: job.extra_scrape_metrics ?? global.extra_scrape_metrics ?? false,
    ...(failureLog && { scrapeFailureLogFile: absolute(failureLog) }),
    keepDroppedTargets: job.keep_dropped_targets || global.keep_dropped_targets,
    bodySizeLimit: job.body_size_limit || global.body_size_limit,
    sampleLimit: job.sample_limit || global.sample_limit,
    targetLimit: job.target_limit || global.target_limit,
    labelLimit: job.label_limit || global.label_limit,
    labelNameLengthLimit: job.label_name_length_limit || global.label_name_length_limit,
    labelValueLengthLimit: job.label_value_length_limit || global.label_value_length_limit,
    staticConfigs: job.static_configs.map((group, index) => ({ ...group, source: String(index) })),
    fileSdConfigs: job.file_sd_configs.map((sd) => ({
      files: sd.files.map((file) => absolute(file)),
      refreshInterval: sd.refresh_interval,
    })),
    httpSdConfigs: job.http_sd_configs.map((sd) => httpSdOf(sd, absolute)),
    dnsSdConfigs: job.dns_sd_configs.map(dnsSdOf),
    kubernetesSdConfigs: job.kubernetes_sd_configs.map((sd) => kubernetesSdOf(sd, absolute)),
    relabelConfigs: job.relabel_configs.map(ruleOf),
    metricRelabelConfigs: job.metric_relabel_configs.map(ruleOf),
    ...formatsOf(job, global),
    ...httpClientOf(job, absolute),
  };
}

function relabelOf(rule: RawRelabel, legacyNames: boolean): RelabelConfig {
  return {
    sourceLabels: rule.source_labels,
    separator: rule.separator,
    regex: rule.regex,
    modulus: rule.modulus,
    targetLabel: rule.target_label,
    replacement: rule.replacement,
    action: rule.action,
    ...(legacyNames && { legacyNames }),
  };
}

/** `$VAR` and `${VAR}` from the environment, `$$` for a dollar; unknown names are empty (Prometheus 3). */
function expandEnv(text: string, env: LoadOptions['env']): string {
  return text.replace(/\$(?:\$|\{([^}]*)\}|(\w+))/g, (whole, braced?: string, bare?: string) =>
    whole === '$$' ? '$' : (env[braced ?? bare ?? ''] ?? ''),
  );
}
