/**
 * The configuration as Prometheus spells it. One schema yields types, defaults and checks.
 *
 * It reads YAML in which every scalar is still text (as Go's decoder does, which decodes into the type of
 * the field), so `regex: 80` is the text `80` and `honor_labels: yes` is true.
 */
import {
  CanopyError,
  type DurationMs,
  compileRegexp,
  isLegacyLabelName,
  parseBytes,
  parseDuration,
} from '@canopy/model';
import { z } from 'zod';

/** A text checked and turned into something by `read`, whose complaint becomes the issue. */
function scalar<T>(read: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof CanopyError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}

const fail = (message: string): never => {
  throw new CanopyError('bad_data', message);
};

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  True: true,
  yes: true,
  on: true,
  false: false,
  False: false,
  no: false,
  off: false,
};

const duration = () => scalar(parseDuration);
const boolean = () =>
  scalar((text) => BOOLEANS[text] ?? fail(`"${text}" is neither true nor false`));
const count = () =>
  scalar((text) => (/^\d+$/.test(text) ? Number(text) : fail(`"${text}" is not a whole number`)));
const bytes = () => scalar(parseBytes);
const regexp = () =>
  scalar((text) => {
    compileRegexp(text);
    return text;
  });
/** An empty value in YAML is the same as leaving the key out. */
const optional = <T extends z.ZodType>(type: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), type);

const labelName = z.string().refine((name) => name !== '' && isLegacyLabelName(name), {
  error: (issue) => `"${String(issue.input)}" is not a valid label name`,
});
const labelSet = z.record(labelName, z.string());

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

const NEEDS_TARGET: ReadonlySet<string> = new Set([
  'replace',
  'hashmod',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
]);

/** `relabel_config`; rules as Prometheus's model/relabel checks them. */
const relabel = z
  .strictObject({
    source_labels: optional(z.array(z.string()).default([])),
    separator: z.string().default(';'),
    regex: regexp().default('(.*)'),
    modulus: count().default(0),
    target_label: z.string().default(''),
    replacement: z.string().default('$1'),
    action: z
      .string()
      .transform((text) => text.toLowerCase())
      .pipe(z.enum(ACTIONS))
      .default('replace'),
  })
  .superRefine((rule, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message });
    if (rule.action === 'hashmod' && rule.modulus === 0) {
      issue('relabel configuration for hashmod requires non-zero modulus');
    }
    if (NEEDS_TARGET.has(rule.action) && rule.target_label === '') {
      issue(`relabel configuration for ${rule.action} action requires 'target_label' value`);
    }
  });

const target = z.string().superRefine((text, context) => {
  const issue = (message: string) => context.addIssue({ code: 'custom', message });
  if (text === '') issue('a target is empty');
  if (text.includes('/'))
    issue(
      `"${text}" is not a valid hostname (a target is host:port, the path goes in metrics_path)`,
    );
});

const staticConfig = z.strictObject({
  targets: optional(z.array(target).default([])),
  labels: optional(labelSet.default({})),
});

const FILE_PATTERN = /^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$/;
const fileSdConfig = z.strictObject({
  files: z
    .array(
      z.string().refine((path) => FILE_PATTERN.test(path), {
        error: (issue) => `path name "${String(issue.input)}" is not valid for file discovery`,
      }),
    )
    .min(1, 'file service discovery config must contain at least one path name'),
  refresh_interval: duration().prefault('5m'),
});

const basicAuth = z.strictObject({
  username: z.string().default(''),
  username_file: z.string().optional(),
  password: z.string().default(''),
  password_file: z.string().optional(),
});

const authorization = z.strictObject({
  type: z.string().default('Bearer'),
  credentials: z.string().default(''),
  credentials_file: z.string().optional(),
});

/** Keys of `scrape_config` that work. */
export const scrapeConfigSchema = z.strictObject({
  job_name: z.string().min(1, 'job_name is empty').describe('Value of the label `job`'),
  scrape_interval: duration().optional().describe('How often; default: the global one'),
  scrape_timeout: duration().optional().describe('Default: the global one, at most the interval'),
  metrics_path: z.string().default('/metrics').describe('Path of the exposition'),
  scheme: z.enum(['http', 'https']).default('http'),
  params: optional(z.record(z.string(), z.array(z.string())).default({})).describe(
    'URL parameters',
  ),
  honor_labels: boolean()
    .prefault('false')
    .describe('Labels of the exporter win over those of the target'),
  honor_timestamps: boolean().prefault('true').describe('Times in the exposition are used'),
  follow_redirects: boolean().prefault('true'),
  basic_auth: basicAuth.optional(),
  authorization: authorization.optional(),
  body_size_limit: bytes().prefault('0').describe('Largest body, decompressed; 0: none'),
  sample_limit: count()
    .prefault('0')
    .describe('Most samples of a scrape after relabelling; 0: none'),
  target_limit: count().prefault('0').describe('Most targets of the job; 0: none'),
  label_limit: count().prefault('0').describe('Most labels of a sample; 0: none'),
  label_name_length_limit: count().prefault('0').describe('Longest label name; 0: none'),
  label_value_length_limit: count().prefault('0').describe('Longest label value; 0: none'),
  static_configs: optional(z.array(staticConfig).default([])),
  file_sd_configs: optional(z.array(fileSdConfig).default([])),
  relabel_configs: optional(z.array(relabel).default([])).describe('On targets'),
  metric_relabel_configs: optional(z.array(relabel).default([])).describe('On samples'),
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
  body_size_limit: bytes().prefault('0'),
  sample_limit: count().prefault('0'),
  target_limit: count().prefault('0'),
  label_limit: count().prefault('0'),
  label_name_length_limit: count().prefault('0'),
  label_value_length_limit: count().prefault('0'),
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
  scrape_configs: optional(z.array(scrapeConfigSchema).default([])),
  storage: optional(storageSchema.prefault({})),
});

export type RawConfig = z.output<typeof configSchema>;
export type RawScrapeConfig = z.output<typeof scrapeConfigSchema>;
export type RawRelabel = z.output<typeof relabel>;
/** Default of a scrape time-out that is not configured (Prometheus's). */
export const DEFAULT_SCRAPE_TIMEOUT = 10_000 as DurationMs;
