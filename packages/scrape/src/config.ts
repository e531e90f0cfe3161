/**
 * What is to be scraped, checked and complete: no YAML, no defaults. `canopy` makes these of a
 * Prometheus configuration; the names are Prometheus's own, in camel case.
 */
import type { DurationMs } from '@canopy/model';

/** Addresses that share labels, from one place of a discovery. */
export interface TargetGroup {
  /** `host:port` each. */
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Where the group stands (a file and the place in it), for messages. */
  readonly source: string;
}

export interface FileSdConfig {
  /** Absolute paths; the last element may hold `*`. */
  readonly files: readonly string[];
  readonly refreshInterval: DurationMs;
}

export type RelabelAction =
  | 'replace'
  | 'keep'
  | 'drop'
  | 'keepequal'
  | 'dropequal'
  | 'hashmod'
  | 'labelmap'
  | 'labeldrop'
  | 'labelkeep'
  | 'lowercase'
  | 'uppercase';

/** One rule, Prometheus's defaults filled in (separator `;`, regex `(.*)`, replacement `$1`). */
export interface RelabelConfig {
  readonly sourceLabels: readonly string[];
  readonly separator: string;
  readonly regex: string;
  readonly modulus: number;
  readonly targetLabel: string;
  readonly replacement: string;
  readonly action: RelabelAction;
}

export type Auth =
  | { readonly type: 'basic'; readonly username: string; readonly password: string }
  /** `Authorization: <scheme> <credentials>`. */
  | { readonly type: 'header'; readonly scheme: string; readonly credentials: string };

/** One scrape job. Limits of 0 are none. */
export interface ScrapeConfig {
  readonly jobName: string;
  readonly scrapeInterval: DurationMs;
  readonly scrapeTimeout: DurationMs;
  readonly metricsPath: string;
  readonly scheme: 'http' | 'https';
  readonly params: Readonly<Record<string, readonly string[]>>;
  readonly honorLabels: boolean;
  readonly honorTimestamps: boolean;
  /** Series with timestamps of their own get stale marks too; false where undefined. */
  readonly trackTimestampsStaleness?: boolean;
  /** Bytes of a decompressed body. */
  readonly bodySizeLimit: number;
  /** Samples left after metric relabelling. */
  readonly sampleLimit: number;
  readonly labelLimit: number;
  /** In bytes of UTF-8. */
  readonly labelNameLengthLimit: number;
  /** In bytes of UTF-8. */
  readonly labelValueLengthLimit: number;
  /** Over it every target of the job fails. */
  readonly targetLimit: number;
  readonly staticConfigs: readonly TargetGroup[];
  readonly fileSdConfigs: readonly FileSdConfig[];
  readonly relabelConfigs: readonly RelabelConfig[];
  readonly metricRelabelConfigs: readonly RelabelConfig[];
  readonly auth?: Auth;
  readonly followRedirects: boolean;
  /** Reads a body without a usable content type as text 0.0.4; else such a scrape fails. */
  readonly fallbackToText?: boolean;
}
