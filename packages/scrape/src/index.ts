/** Targets: discovery, relabelling, schedule, fetch. */

/** What is to be scraped, checked and complete. */
export type {
  Auth,
  AuthConfig,
  DnsSdConfig,
  FileSdConfig,
  HttpClientConfig,
  HttpHeaderConfig,
  HttpSdConfig,
  KubernetesRole,
  KubernetesSdConfig,
  OAuth2Config,
  ProxyConfig,
  RelabelAction,
  RelabelConfig,
  ScrapeConfig,
  TargetGroup,
  TextSource,
  TlsConfig,
  TlsVersion,
} from './config.js';
/** Formats by their names in `scrape_protocols`. */
export { SCRAPE_PROTOCOLS } from './formats.js';
export type { ScrapeProtocol } from './formats.js';
/** Relabelling rules as Prometheus has them. */
export { compileRelabel } from './relabel.js';
export type { Relabel } from './relabel.js';
/** A label set being worked on. */
export { LabelBuilder } from './label-builder.js';
/** From an address to a target; `canopy check config` lists them. */
export { makeTarget, scrapeOffset } from './target.js';
export type { Target, TargetOutcome } from './target.js';
/** Where targets come from. */
export type { Discovery, DiscoveryReport, DiscoveryRun } from './discovery/discovery.js';
export { FileDiscovery } from './discovery/file.js';
/** What discoveries ask: name servers, API servers of Kubernetes. */
export { SystemResolver } from './discovery/resolver.js';
export type { DnsResolver } from './discovery/resolver.js';
export { KubernetesConnector, SERVICE_ACCOUNT_FOLDER } from './discovery/kubernetes/connector.js';
/** Reads one file of target groups. */
export { parseTargetFile } from './discovery/target-file.js';
/** Gets bodies over HTTP. */
export { HttpFetcher, requestClient } from './fetch.js';
export type {
  FetchRequest,
  FetchedBody,
  Fetcher,
  HttpFetcherOptions,
  RequestClient,
} from './fetch.js';
/** Sends one request under an `http_config`. */
export { HttpSender } from './client/send.js';
export type { HttpSenderOptions, SentRequest } from './client/send.js';
/** Gets bodies of plain HTTP targets over bare sockets. */
export { SocketFetcher } from './socket/socket-fetcher.js';
export type { SocketFetcherOptions } from './socket/socket-fetcher.js';
/** Series that a scrape makes of itself. */
export { REPORT_NAMES } from './target-series.js';
/** Who waits with whom. */
export { Gates } from './gates.js';
export type { BodyAtGate, GateKinds } from './gates.js';
/** Runs it all. */
export { ScrapeManager } from './manager.js';
export type { ScrapeLimits, ScrapeManagerOptions } from './manager.js';
export type { LogLevel, ScrapeLog } from './log.js';
export type { ScrapeTotals } from './totals.js';
