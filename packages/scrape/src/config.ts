/**
 * What is to be scraped, checked and complete: no YAML, no defaults. `canopy` makes these of a
 * Prometheus configuration; the names are Prometheus's own, in camel case.
 */
import type { EscapingScheme } from '@canopy/exposition';
import type { DurationMs } from '@canopy/model';
import type { ScrapeProtocol } from './formats.js';

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
  /** A name that a rule makes and that is not one of old is not set. Default: any is. */
  readonly legacyNames?: boolean;
}

/** Credentials as they are sent. */
export type Auth =
  | { readonly type: 'basic'; readonly username: string; readonly password: string }
  /** `Authorization: <scheme> <credentials>`. */
  | { readonly type: 'header'; readonly scheme: string; readonly credentials: string };

/** A text given in the configuration, or a file (absolute path) that is read anew when it changes. */
export type TextSource = string | { readonly file: string };

/** OAuth 2.0 client credentials (RFC 6749, 4.4). */
export interface OAuth2Config {
  readonly type: 'oauth2';
  readonly clientId: string;
  readonly clientSecret: TextSource;
  readonly scopes: readonly string[];
  readonly tokenUrl: string;
  readonly endpointParams: Readonly<Record<string, string>>;
  /** How the token's server is reached. */
  readonly tls?: TlsConfig;
  readonly proxy?: ProxyConfig;
}

export type AuthConfig =
  | { readonly type: 'basic'; readonly username: TextSource; readonly password: TextSource }
  | { readonly type: 'header'; readonly scheme: string; readonly credentials: TextSource }
  | OAuth2Config;

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** PEM texts or files. A certificate has its key. */
export interface TlsConfig {
  readonly ca?: TextSource;
  readonly cert?: TextSource;
  readonly key?: TextSource;
  /** Name that the certificate must be for; default: the host asked. */
  readonly serverName?: string;
  readonly insecureSkipVerify: boolean;
  readonly minVersion?: TlsVersion;
  readonly maxVersion?: TlsVersion;
}

export interface ProxyConfig {
  /** `http:` or `https:` for all requests; 'environment': HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
  readonly url: string | 'environment';
  /** As NO_PROXY is written; '' for none. */
  readonly noProxy: string;
  /** Sent with CONNECT. */
  readonly connectHeader: Readonly<Record<string, readonly string[]>>;
}

/** A header added to each request. */
export interface HttpHeaderConfig {
  readonly name: string;
  readonly values: readonly TextSource[];
}

/** How servers are reached: Prometheus's `http_config`, for targets and discoveries alike. */
export interface HttpClientConfig {
  readonly auth?: AuthConfig;
  readonly tls?: TlsConfig;
  readonly proxy?: ProxyConfig;
  readonly httpHeaders?: readonly HttpHeaderConfig[];
  readonly followRedirects: boolean;
}

/** A server that answers with a JSON list of target groups. */
export interface HttpSdConfig extends HttpClientConfig {
  readonly url: string;
  readonly refreshInterval: DurationMs;
}

export interface DnsSdConfig {
  readonly names: readonly string[];
  readonly type: 'A' | 'AAAA' | 'MX' | 'NS' | 'SRV';
  /** Not for SRV, whose records have it. */
  readonly port: number;
  readonly refreshInterval: DurationMs;
}

export type KubernetesRole = 'node' | 'pod' | 'service' | 'endpoints' | 'endpointslice' | 'ingress';

/** Narrows what is asked of the API server; Kubernetes's own notation, '' for everything. */
export interface KubernetesSelector {
  readonly role: KubernetesRole;
  readonly label: string;
  readonly field: string;
}

/** Objects whose labels are given to targets, too. */
export interface KubernetesAttach {
  readonly node: boolean;
  readonly namespace: boolean;
}

/** Neither `apiServer` nor `kubeconfigFile`: the service account of the pod this runs in. */
export interface KubernetesSdConfig extends HttpClientConfig {
  readonly role: KubernetesRole;
  readonly apiServer?: string;
  /** Absolute path. */
  readonly kubeconfigFile?: string;
  /** Empty: all, unless `ownNamespace`. */
  readonly namespaces: readonly string[];
  /** The namespace of the service account as well. */
  readonly ownNamespace: boolean;
  readonly selectors: readonly KubernetesSelector[];
  readonly attach: KubernetesAttach;
}

/** One scrape job. Limits of 0 are none. */
export interface ScrapeConfig extends HttpClientConfig {
  readonly jobName: string;
  readonly scrapeInterval: DurationMs;
  readonly scrapeTimeout: DurationMs;
  readonly metricsPath: string;
  readonly scheme: 'http' | 'https';
  readonly params: Readonly<Record<string, readonly string[]>>;
  readonly honorLabels: boolean;
  readonly honorTimestamps: boolean;
  /** Series with timestamps of their own get stale marks too; where undefined, those that an answer of a `/federate` lacks. */
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
  readonly httpSdConfigs?: readonly HttpSdConfig[];
  readonly dnsSdConfigs?: readonly DnsSdConfig[];
  readonly kubernetesSdConfigs?: readonly KubernetesSdConfig[];
  readonly relabelConfigs: readonly RelabelConfig[];
  readonly metricRelabelConfigs: readonly RelabelConfig[];
  /** Dropped targets listed; 0 or undefined: the process's own limit. */
  readonly keepDroppedTargets?: number;
  /** Adds `scrape_timeout_seconds`, `scrape_sample_limit`, `scrape_body_size_bytes`. */
  readonly extraScrapeMetrics?: boolean;
  /** Absolute path; failed scrapes are logged there. */
  readonly scrapeFailureLogFile?: string;
  /** Formats asked for, best first; undefined: Prometheus's choice. */
  readonly scrapeProtocols?: readonly ScrapeProtocol[];
  /** Only pages of frames are taken, no text: the address was told by somebody else. */
  readonly pullOnly?: boolean;
  /** What a body without a usable content type is read as; undefined: such a scrape fails. */
  readonly fallbackScrapeProtocol?: ScrapeProtocol;
  /** Asks for compressed bodies; true where undefined. */
  readonly enableCompression?: boolean;
  /** `legacy` refuses a scrape with a name outside of the old alphabet; `utf8` where undefined. */
  readonly metricNameValidationScheme?: 'utf8' | 'legacy';
  /** How exporters are asked to write such names; `allow-utf-8` where undefined. */
  readonly metricNameEscapingScheme?: EscapingScheme;
}
