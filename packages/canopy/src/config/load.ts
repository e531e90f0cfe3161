/**
 * Reads a configuration file: YAML with places, then the schema, then the rules that span keys.
 * Every complaint names file, line, column and key.
 */
import { dirname, resolve } from 'node:path';
import { CanopyError, type DurationMs, type Labels, labelsFromObject } from '@canopy/model';
import type { RelabelConfig, ScrapeConfig } from '@canopy/scrape';
import { type Document, LineCounter, isMap, isScalar, isSeq, parseDocument, stringify } from 'yaml';
import type { z } from 'zod';
import { nearest } from '../cli/nearest.js';
import {
  IGNORED_GLOBAL,
  IGNORED_SCRAPE,
  IGNORED_SECTIONS,
  REFUSED_SCRAPE,
  SECRET_KEYS,
} from './keys.js';
import {
  DEFAULT_SCRAPE_TIMEOUT,
  type RawConfig,
  type RawRelabel,
  type RawScrapeConfig,
  configSchema,
} from './schema.js';

/** A section or key that is there and does nothing, with its place. */
export interface IgnoredKey {
  readonly key: string;
  readonly place: string;
  readonly reason: string;
}

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
  /** For `${VAR}` in external labels. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where `global.scrape_interval` is not given. */
  readonly defaultScrapeInterval: DurationMs;
}

type KeyPath = readonly PropertyKey[];

class ConfigReader {
  readonly file: string;
  readonly ignored: IgnoredKey[] = [];
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;

  constructor(file: string, text: string) {
    this.file = file;
    this.#document = parseDocument(text, {
      schema: 'failsafe',
      lineCounter: this.#lines,
      uniqueKeys: true,
      prettyErrors: false,
    });
    const [error] = this.#document.errors;
    if (error) throw this.error(error.pos[0], '', error.message);
  }

  get document(): Document.Parsed {
    return this.#document;
  }

  place(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.file}:${Math.max(1, line)}:${Math.max(1, col)}`;
  }

  error(offset: number, key: string, message: string): CanopyError {
    const named = key === '' ? message : `${key}: ${message}`;
    return new CanopyError('config_invalid', `${this.place(offset)}: ${named}`);
  }

  /** Offset of the deepest node on `path` that is there; of the key itself where it has one. */
  offsetOf(path: KeyPath): number {
    let node: unknown = this.#document.contents;
    let offset = 0;
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
        if (pair === undefined) break;
        offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
        node = pair.value;
      } else if (isSeq(node) && typeof step === 'number') {
        node = node.items[step];
        if (isMap(node) || isScalar(node) || isSeq(node)) offset = node.range?.[0] ?? offset;
      } else break;
    }
    return offset;
  }

  /** Takes keys out that are known and without effect; refuses those that would change what is scraped. */
  sift(config: Record<string, unknown>): void {
    for (const [section, reason] of Object.entries(IGNORED_SECTIONS)) {
      if (section in config) this.#ignore(config, [section], reason);
    }
    const global = config.global;
    if (isObject(global)) {
      for (const key of Object.keys(global)) {
        if (IGNORED_GLOBAL.has(key)) this.#ignore(global, ['global', key], 'has no effect');
      }
    }
    const jobs = Array.isArray(config.scrape_configs) ? config.scrape_configs : [];
    jobs.forEach((job: unknown, index) => {
      if (!isObject(job)) return;
      for (const key of Object.keys(job)) {
        const path = ['scrape_configs', index, key];
        if (REFUSED_SCRAPE.has(key)) {
          throw this.error(
            this.offsetOf(path),
            pathText(path),
            'not supported yet, and without it other things would be scraped than this file says',
          );
        }
        if (IGNORED_SCRAPE.has(key)) this.#ignore(job, path, 'has no effect');
      }
    });
  }

  #ignore(holder: Record<string, unknown>, path: KeyPath, reason: string): void {
    this.ignored.push({ key: pathText(path), place: this.place(this.offsetOf(path)), reason });
    delete holder[String(path[path.length - 1])];
  }

  /** The first complaint of the schema, with its place and, for an unknown key, the nearest known one. */
  schemaError(error: z.ZodError): CanopyError {
    const issue = error.issues[0];
    if (issue.code === 'unrecognized_keys') {
      const path = [...issue.path, issue.keys[0]];
      const suggestion = nearest(issue.keys[0], knownKeys(issue.path));
      const hint = suggestion === undefined ? '' : ` (did you mean "${suggestion}"?)`;
      return this.error(
        this.offsetOf(path),
        pathText(issue.path),
        `unknown key "${issue.keys[0]}"${hint}`,
      );
    }
    const missing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
    const message = missing ? 'is missing' : issue.message;
    return this.error(this.offsetOf(issue.path), pathText(issue.path), message);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function pathText(path: KeyPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? String(step) : `${text}.${String(step)}`;
  }, '');
}

/** Names that a mapping at `path` may have: from the schema, and the lists of what is not acted on. */
function knownKeys(path: KeyPath): string[] {
  let schema: z.core.$ZodType = configSchema;
  for (const step of path) {
    const inner = unwrap(schema) as {
      shape?: Record<string, z.core.$ZodType>;
      element?: z.core.$ZodType;
    };
    const next = typeof step === 'number' ? inner.element : inner.shape?.[String(step)];
    if (next === undefined) return [];
    schema = next;
  }
  const shape = (unwrap(schema) as { shape?: Record<string, unknown> }).shape ?? {};
  const known = Object.keys(shape);
  if (path.length === 0) known.push(...Object.keys(IGNORED_SECTIONS));
  if (path[0] === 'global' && path.length === 1) known.push(...IGNORED_GLOBAL);
  if (path[0] === 'scrape_configs' && path.length === 2)
    known.push(...IGNORED_SCRAPE, ...REFUSED_SCRAPE);
  return known;
}

/** Through defaults, preprocessing and pipes to the object or array inside. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const def = schema._zod.def as {
    type: string;
    innerType?: z.core.$ZodType;
    out?: z.core.$ZodType;
  };
  if (def.innerType !== undefined) return unwrap(def.innerType);
  if (def.type === 'pipe' && def.out !== undefined) return unwrap(def.out);
  return schema;
}

/**
 * Reads and checks a configuration file.
 * @throws CanopyError `config_invalid` with `file:line:column: key: what is wrong`.
 */
export function loadConfig(path: string, options: LoadOptions): LoadedConfig {
  let text: string;
  try {
    text = options.readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'no such file' : String((error as Error).message);
    throw new CanopyError('config_invalid', `${path}: cannot read the configuration: ${why}`);
  }
  const reader = new ConfigReader(path, text);
  let tree: unknown;
  try {
    tree = reader.document.toJS({ maxAliasCount: 1000 }) ?? {};
  } catch (error) {
    throw reader.error(0, '', (error as Error).message);
  }
  if (tree === '') tree = {};
  if (!isObject(tree)) throw reader.error(0, '', 'the file is not a mapping of keys to values');
  const maskedText = maskedYaml(tree);
  reader.sift(tree);
  const parsed = configSchema.safeParse(tree);
  if (!parsed.success) throw reader.schemaError(parsed.error);
  return assemble(reader, parsed.data, maskedText, options);
}

function assemble(
  reader: ConfigReader,
  raw: RawConfig,
  maskedText: string,
  options: LoadOptions,
): LoadedConfig {
  const { global } = raw;
  const globalInterval = global.scrape_interval ?? options.defaultScrapeInterval;
  const globalTimeout = checkedTimeout(
    reader,
    ['global', 'scrape_timeout'],
    global.scrape_timeout,
    globalInterval,
    DEFAULT_SCRAPE_TIMEOUT,
  );
  const seen = new Set<string>();
  const scrapeConfigs = raw.scrape_configs.map((job, index): ScrapeConfig => {
    const at: KeyPath = ['scrape_configs', index];
    if (seen.has(job.job_name)) {
      throw reader.error(
        reader.offsetOf([...at, 'job_name']),
        pathText([...at, 'job_name']),
        `found multiple scrape configs with job name "${job.job_name}"`,
      );
    }
    seen.add(job.job_name);
    const interval = job.scrape_interval ?? globalInterval;
    if (interval <= 0)
      throw reader.error(reader.offsetOf(at), pathText(at), 'scrape_interval is 0');
    const timeout = checkedTimeout(
      reader,
      [...at, 'scrape_timeout'],
      job.scrape_timeout,
      interval,
      globalTimeout,
    );
    return scrapeConfigOf(reader, job, global, interval, timeout, options);
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
    ignored: reader.ignored,
    maskedText,
  };
}

function checkedTimeout(
  reader: ConfigReader,
  path: KeyPath,
  configured: DurationMs | undefined,
  interval: DurationMs,
  fallback: DurationMs,
): DurationMs {
  if (configured === undefined) return Math.min(fallback, interval) as DurationMs;
  if (configured > interval) {
    throw reader.error(
      reader.offsetOf(path),
      pathText(path),
      'is greater than the scrape interval',
    );
  }
  return configured;
}

function scrapeConfigOf(
  reader: ConfigReader,
  job: RawScrapeConfig,
  global: RawConfig['global'],
  interval: DurationMs,
  timeout: DurationMs,
  options: LoadOptions,
): ScrapeConfig {
  const folder = dirname(resolve(reader.file));
  const secretOf = (inline: string, file: string | undefined) =>
    file === undefined ? inline : options.readFile(resolve(folder, file)).trim();
  return {
    jobName: job.job_name,
    scrapeInterval: interval,
    scrapeTimeout: timeout,
    metricsPath: job.metrics_path,
    scheme: job.scheme,
    params: job.params,
    honorLabels: job.honor_labels,
    honorTimestamps: job.honor_timestamps,
    followRedirects: job.follow_redirects,
    bodySizeLimit: job.body_size_limit || global.body_size_limit,
    sampleLimit: job.sample_limit || global.sample_limit,
    targetLimit: job.target_limit || global.target_limit,
    labelLimit: job.label_limit || global.label_limit,
    labelNameLengthLimit: job.label_name_length_limit || global.label_name_length_limit,
    labelValueLengthLimit: job.label_value_length_limit || global.label_value_length_limit,
    staticConfigs: job.static_configs.map((group, index) => ({ ...group, source: String(index) })),
    fileSdConfigs: job.file_sd_configs.map((sd) => ({
      files: sd.files.map((file) => resolve(folder, file)),
      refreshInterval: sd.refresh_interval,
    })),
    relabelConfigs: job.relabel_configs.map(relabelOf),
    metricRelabelConfigs: job.metric_relabel_configs.map(relabelOf),
    ...(job.basic_auth && {
      auth: {
        type: 'basic' as const,
        username: secretOf(job.basic_auth.username, job.basic_auth.username_file),
        password: secretOf(job.basic_auth.password, job.basic_auth.password_file),
      },
    }),
    ...(job.authorization && {
      auth: {
        type: 'header' as const,
        scheme: job.authorization.type,
        credentials: secretOf(job.authorization.credentials, job.authorization.credentials_file),
      },
    }),
  };
}

function relabelOf(rule: RawRelabel): RelabelConfig {
  return {
    sourceLabels: rule.source_labels,
    separator: rule.separator,
    regex: rule.regex,
    modulus: rule.modulus,
    targetLabel: rule.target_label,
    replacement: rule.replacement,
    action: rule.action,
  };
}

/** `$VAR` and `${VAR}` from the environment, `$$` for a dollar; unknown names are empty (Prometheus 3). */
function expandEnv(text: string, env: LoadOptions['env']): string {
  return text.replace(/\$(?:\$|\{([^}]*)\}|(\w+))/g, (whole, braced?: string, bare?: string) =>
    whole === '$$' ? '$' : (env[braced ?? bare ?? ''] ?? ''),
  );
}

/** The configuration as YAML without comments, every secret replaced, passwords in URLs included. */
function maskedYaml(tree: unknown): string {
  return stringify(masked(tree, ''), { schema: 'failsafe', lineWidth: 0 });
}

function masked(node: unknown, key: string): unknown {
  if (SECRET_KEYS.has(key)) return '<secret>';
  if (Array.isArray(node)) return node.map((item) => masked(item, ''));
  if (isObject(node)) {
    return Object.fromEntries(
      Object.entries(node).map(([name, value]) => [name, masked(value, name)]),
    );
  }
  if (typeof node !== 'string') return node;
  return node.replace(/(\/\/[^/:@\s]*):[^/@\s]+@/g, '$1:<secret>@');
}
