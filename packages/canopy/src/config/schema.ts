/**
 * The configuration as Prometheus spells it. One schema yields types, defaults and checks.
 */
import type { DurationMs } from '@canopy/model';
import { z } from 'zod';
import { dnsSdConfig, httpSdConfig, kubernetesSdConfig } from './discovery.js';
import { formatShape, jobFormatShape } from './formats.js';
import { checkHttpClient, httpClientShape } from './http-client.js';
import {
  boolean,
  bytes,
  count,
  duration,
  fail,
  listOf,
  notNull,
  onlyFalse,
  optional,
  regexp,
  scalar,
  text,
} from './scalars.js';

/** Any text in UTF-8 may be the name of a label, as in Prometheus 3. */
const labelName = text().refine((name) => name !== '', '"" is not a valid label name');
const labelSet = z.record(labelName, text());

const ACTIONS = [
  'replace',
  'keep',
  'drop',
  'keepequal',
  'dropequal',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
] as const;

const action = () =>
  notNull('relabel action cannot be empty').pipe(
    scalar((text): (typeof ACTIONS)[number] => {
      const lower = text.toLowerCase();
      return ACTIONS.find((name) => name === lower) ?? fail(`unknown relabel action "${text}"`);
    }),
  );

const NEEDS_TARGET: ReadonlySet<string> = new Set([
  'replace',
  'hashmod',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
]);

const KEEPS_REPLACEMENT: ReadonlySet<string> = new Set([
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
]);

interface RelabelKeys {
  readonly action: string;
  readonly source_labels: readonly string[];
  readonly separator: string;
  readonly regex: string;
  readonly modulus: number;
  readonly target_label: string;
  readonly replacement: string;
}

/** What an action takes, where it is given more than that; else ''. */
function surplusKeys(rule: RelabelKeys): string {
  const plain = rule.separator === ';' && rule.modulus === 0 && rule.replacement === '$1';
  if (rule.action === 'keepequal' || rule.action === 'dropequal') {
    return plain && rule.regex === '(.*)' ? '' : "'source_labels' and `target_label`";
  }
  if (rule.action === 'labeldrop' || rule.action === 'labelkeep') {
    const alone = plain && rule.source_labels.length === 0 && rule.target_label === '';
    return alone ? '' : "'regex'";
  }
  return '';
}

/** `relabel_config`; rules as Prometheus's model/relabel checks them. */
const relabel = z
  .strictObject({
    source_labels: optional(z.array(labelName).default([])),
    separator: text().default(';'),
    regex: regexp().default('(.*)'),
    modulus: count().default(0),
    target_label: text().default(''),
    replacement: text().default('$1'),
    action: action().prefault('replace'),
  })
  .superRefine((rule, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message });
    if (rule.action === 'hashmod' && rule.modulus === 0) {
      issue('relabel configuration for hashmod requires non-zero modulus');
    }
    if (NEEDS_TARGET.has(rule.action) && rule.target_label === '') {
      issue(`relabel configuration for ${rule.action} action requires 'target_label' value`);
    }
    if (rule.action === 'labelmap' && rule.replacement === '') {
      issue(`"" is invalid 'replacement' for labelmap action`);
    }
    if (KEEPS_REPLACEMENT.has(rule.action) && rule.replacement !== '$1') {
      issue(`'replacement' can not be set for ${rule.action} action`);
    }
    const surplus = surplusKeys(rule);
    if (surplus !== '')
      issue(`${rule.action} action requires only ${surplus}, and no other fields`);
  });

const rules = (of: string) =>
  listOf(relabel, `empty or null ${of} relabeling rule in scrape config`);

const staticConfig = z.strictObject({
  targets: optional(z.array(text()).default([])),
  labels: optional(labelSet.default({})),
});

/**
 * What stands for an address as it is must be one. Where rules rewrite it, it may be anything: a
 * prober's targets are URLs that the rules move into a parameter.
 */
function checkAddress(address: string, issue: (message: string) => void): void {
  if (address === '') issue('no address: a target is empty');
  if (!address.includes('/')) return;
  const hint = 'a target is host:port, the path goes in metrics_path';
  issue(`"${address}" is not a valid hostname (${hint})`);
}

const FILE_PATTERN = /^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$/;
const fileSdConfig = z.strictObject({
  files: optional(
    z
      .array(
        text().refine((path) => FILE_PATTERN.test(path), {
          error: (issue) => `path name "${String(issue.input)}" is not valid for file discovery`,
        }),
      )
      .default([])
      .refine(
        ({ length }) => length > 0,
        'file service discovery config must contain at least one path name',
      ),
  ),
  refresh_interval: duration()
    .prefault('5m')
    .refine((interval) => interval > 0, 'refresh_interval is 0'),
});

const NATIVE = 'native histograms are not scraped; classic ones always are';
const factor = () =>
  scalar((text) =>
    text.trim() !== '' && Number(text) >= 0 ? Number(text) : fail('is not a number'),
  );

/** Keys of `global` and of a scrape configuration alike; at 0 or left out the global one counts. */
const limits = {
  body_size_limit: bytes().prefault('0').describe('Largest body, decompressed; 0: none'),
  sample_limit: count()
    .prefault('0')
    .describe('Most samples of a scrape after relabelling; 0: none'),
  target_limit: count().prefault('0').describe('Most targets of the job; 0: none'),
  label_limit: count().prefault('0').describe('Most labels of a sample; 0: none'),
  label_name_length_limit: count().prefault('0').describe('Longest label name; 0: none'),
  label_value_length_limit: count().prefault('0').describe('Longest label value; 0: none'),
  keep_dropped_targets: count()
    .prefault('0')
    .describe('Dropped targets of a job that are listed; 0: 1000'),
  scrape_failure_log_file: text()
    .optional()
    .describe('Failed scrapes are written there, a JSON line each; opened anew at a reload'),
  extra_scrape_metrics: boolean()
    .optional()
    .describe('`scrape_timeout_seconds`, `scrape_sample_limit`, `scrape_body_size_bytes`'),
  scrape_native_histograms: onlyFalse(NATIVE),
  convert_classic_histograms_to_nhcb: onlyFalse(NATIVE),
  always_scrape_classic_histograms: boolean().optional().describe(`No effect: ${NATIVE}`),
};

/** Keys of `scrape_config` that work. */
export const scrapeConfigSchema = z
  .strictObject({
    job_name: text()
      .refine((name) => name !== '', 'job_name is empty')
      .prefault('')
      .describe('Value of the label `job`'),
    scrape_interval: duration().optional().describe('How often; default: the global one'),
    scrape_timeout: duration().optional().describe('Default: the global one, at most the interval'),
    metrics_path: text().default('/metrics').describe('Path of the exposition'),
    scheme: z.enum(['http', 'https']).default('http'),
    params: optional(
      z.record(z.string(), optional(z.array(text()).default([]))).default({}),
    ).describe('URL parameters'),
    honor_labels: boolean()
      .prefault('false')
      .describe('Labels of the exporter win over those of the target'),
    honor_timestamps: boolean().prefault('true').describe('Times in the exposition are used'),
    track_timestamps_staleness: boolean()
      .optional()
      .describe(
        'Series with times of their own get stale marks, too; without it, those that an answer of a `/federate` lacks',
      ),
    ...httpClientShape,
    ...formatShape,
    ...jobFormatShape,
    ...limits,
    scrape_classic_histograms: boolean().optional().describe(`No effect: ${NATIVE}`),
    native_histogram_bucket_limit: count().optional().describe(`No effect: ${NATIVE}`),
    native_histogram_min_bucket_factor: factor().optional().describe(`No effect: ${NATIVE}`),
    static_configs: listOf(staticConfig, 'empty or null section in static_configs'),
    file_sd_configs: listOf(fileSdConfig, 'empty or null section in file_sd_configs'),
    http_sd_configs: listOf(httpSdConfig, 'empty or null section in http_sd_configs'),
    dns_sd_configs: listOf(dnsSdConfig, 'empty or null section in dns_sd_configs').describe(
      'Types A, AAAA, MX, NS and SRV',
    ),
    kubernetes_sd_configs: listOf(
      kubernetesSdConfig,
      'empty or null section in kubernetes_sd_configs',
    ).describe(
      'All roles but `gateway` and `httproute`; `kubeconfig_file` needs the package `@kubernetes/client-node`',
    ),
    relabel_configs: rules('target').describe('On targets'),
    metric_relabel_configs: rules('metric').describe('On samples'),
  })
  .superRefine((job, context) => {
    const issue = (message: string, path: Array<string | number> = []) =>
      context.addIssue({ code: 'custom', message, path });
    checkHttpClient(job, issue);
    if (job.relabel_configs.length > 0) return;
    job.static_configs.forEach(({ targets }, group) =>
      targets.forEach((address, index) =>
        checkAddress(address, (message) =>
          issue(message, ['static_configs', group, 'targets', index]),
        ),
      ),
    );
  });

export const globalSchema = z.strictObject({
  scrape_interval: duration()
    .optional()
    .describe(
      'How often targets are scraped, default 1m (at a parent: leaves are pulled, default 5s)',
    ),
  scrape_timeout: duration().optional().describe('Default 10s, at most the interval'),
  external_labels: optional(labelSet.default({})).describe(
    'Attached at scrape where the series has no such label; `${VAR}` is taken from the environment',
  ),
  ...formatShape,
  ...limits,
  evaluation_interval: duration().optional().describe('No effect: rules are not evaluated'),
  rule_query_offset: duration().optional().describe('No effect: rules are not evaluated'),
  query_log_file: text().optional().describe('No effect: queries are not logged'),
});

const storageSchema = z.strictObject({
  tsdb: optional(
    z
      .strictObject({
        out_of_order_time_window: duration()
          .prefault('10m')
          .describe('How late samples with times of their own may come'),
        retention: z.unknown().optional(),
      })
      .prefault({}),
  ),
  exemplars: z.unknown().optional(),
});

export const configSchema = z.strictObject({
  global: optional(globalSchema.prefault({})),
  scrape_config_files: optional(
    z
      .array(
        text().refine((path) => /^[^*]*(\*[^/]*)?$/.test(path), {
          error: (issue) => `invalid scrape config file path "${String(issue.input)}"`,
        }),
      )
      .default([]),
  ).describe('Files with a list `scrape_configs` of their own; `*` in the last part of the path'),
  scrape_configs: listOf(scrapeConfigSchema, 'empty or null scrape config section'),
  storage: optional(storageSchema.prefault({})),
});

/** What a file of `scrape_config_files` may hold. */
export const scrapeFileSchema = z.strictObject({
  scrape_configs: listOf(scrapeConfigSchema, 'empty or null scrape config section'),
});

export type RawConfig = z.output<typeof configSchema>;
export type RawScrapeConfig = z.output<typeof scrapeConfigSchema>;
export type RawRelabel = z.output<typeof relabel>;
/** Default of a scrape time-out that is not configured (Prometheus's). */
export const DEFAULT_SCRAPE_TIMEOUT = 10_000 as DurationMs;
