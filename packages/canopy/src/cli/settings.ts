/**
 * Flags turned into checked values.
 */
import { hostname } from 'node:os';
import {
  type AnchoredRegexp,
  BLOCK_WINDOW_MS,
  CanopyError,
  type DurationMs,
  compileRegexp,
  isLegacyLabelName,
  parseBytes,
  parseDuration,
} from '@canopy/model';
import { parseAddress } from '@canopy/store';
import type { LogLevel } from '../log.js';
import type { FlagValues, Role } from './flags.js';

export interface Settings {
  readonly role: Role;
  /** As given, for `/api/v1/status/flags`. */
  readonly flags: Readonly<Record<string, string>>;
  readonly configFile: string | undefined;
  readonly listenHost: string;
  readonly listenPort: number;
  readonly externalUrl: string;
  readonly webConfigFile: string | undefined;
  readonly enableAdminApi: boolean;
  readonly enableLifecycle: boolean;
  readonly enableRemoteWriteReceiver: boolean;
  readonly corsOrigin: AnchoredRegexp;
  readonly name: string;
  readonly cluster: string | undefined;
  readonly storagePath: string;
  readonly storageMaxBytes: number;
  readonly storeUrl: string | undefined;
  readonly redis: RedisSettings;
  readonly parentUrl: string | undefined;
  readonly tokenFile: string | undefined;
  readonly federationHttpConfigFile: string | undefined;
  readonly enforceLabels: readonly string[];
  readonly leavesMax: number;
  readonly registrationsPerMinuteMax: number;
  readonly pageBytesMax: number;
  readonly journalRetention: DurationMs;
  readonly journalRetentionBytes: number;
  /** 0: no limit. A leaf keeps none beyond its window. */
  readonly retentionRaw: DurationMs;
  readonly retentionBytes: number;
  /** Windows that samples are sealed in. */
  readonly blocksWindow: DurationMs;
  readonly lookback: DurationMs;
  readonly queryTimeout: DurationMs;
  readonly queryMaxSamples: number;
  readonly queryMaxConcurrency: number;
  /** Of `--enable-feature`; names nobody knows included. */
  readonly features: ReadonlySet<string>;
  readonly queryComplete: boolean;
  readonly scrapeConcurrency: number;
  readonly logLevel: LogLevel;
}

/** What `--store.redis.…` says; files are read when the store is opened. */
export interface RedisSettings {
  readonly tlsCaFile: string | undefined;
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  readonly tlsServerName: string | undefined;
  readonly waitReplicas: number;
  readonly waitTimeout: DurationMs;
}

/** With one more frame and a report a page is still one that every parent takes (leaf-discovery.ts, PAGE_BYTES_MAX). */
const PAGE_BYTES_LIMIT = 32 * 1024 * 1024;

function pageBytes(text: string): number {
  const bytes = parseBytes(text);
  if (bytes >= 1 && bytes <= PAGE_BYTES_LIMIT) return bytes;
  throw new CanopyError('bad_data', `"${text}" is not between 1B and 32MiB`);
}

/**
 * `isSecure`: the HTTP server speaks TLS.
 * @throws CanopyError `config_invalid` that names the flag.
 */
export function settingsOf(role: Role, values: FlagValues, isSecure = false): Settings {
  const read = <T>(flag: string, parse: (text: string) => T): T => {
    try {
      return parse(values.get(flag) ?? '');
    } catch (error) {
      if (!(error instanceof CanopyError)) throw error;
      throw new CanopyError('config_invalid', `--${flag}: ${error.message}`);
    }
  };
  const count = (text: string): number => {
    if (!/^[1-9]\d*$/.test(text)) {
      throw new CanopyError('bad_data', `"${text}" is not a whole number above 0`);
    }
    return Number(text);
  };
  const { host, port } = read('web.listen-address', parseListenAddress);
  const givenUrl = values.get('web.external-url');
  const externalUrl =
    givenUrl === undefined
      ? `${isSecure ? 'https' : 'http'}://${authority(host === '' || host === '0.0.0.0' || host === '::' ? hostname() : host, port)}`
      : read('web.external-url', httpUrl);
  return {
    role,
    flags: Object.fromEntries(values),
    configFile: values.get('config.file'),
    listenHost: host,
    listenPort: port,
    externalUrl,
    webConfigFile: values.get('web.config.file'),
    enableAdminApi: values.get('web.enable-admin-api') === 'true',
    enableLifecycle: values.get('web.enable-lifecycle') === 'true',
    corsOrigin: read('web.cors.origin', compileRegexp),
    enableRemoteWriteReceiver: values.get('web.enable-remote-write-receiver') === 'true',
    name: values.get('leaf.name') ?? new URL(externalUrl).host,
    cluster: values.get('cluster'),
    storagePath: values.get('storage.path') ?? '',
    storageMaxBytes: read('storage.max-bytes', parseBytes),
    storeUrl: values.has('store') ? read('store', redisUrl) : undefined,
    redis: redisSettings(values, read),
    parentUrl: values.has('parent') ? read('parent', httpUrl) : undefined,
    tokenFile: values.get('federation.token-file'),
    federationHttpConfigFile: values.get('federation.http-config-file'),
    enforceLabels: values.has('federation.enforce-labels')
      ? read('federation.enforce-labels', labelNames)
      : [],
    leavesMax: values.has('federation.max-leaves') ? read('federation.max-leaves', count) : 0,
    registrationsPerMinuteMax: values.has('federation.max-registrations-per-minute')
      ? read('federation.max-registrations-per-minute', count)
      : 0,
    pageBytesMax: read('federation.max-page-bytes', pageBytes),
    journalRetention: read('journal.retention', parseDuration),
    journalRetentionBytes: read('journal.retention-bytes', parseBytes),
    retentionRaw: values.has('retention.raw')
      ? read('retention.raw', parseDuration)
      : (0 as DurationMs),
    retentionBytes: values.has('retention.bytes') ? read('retention.bytes', parseBytes) : 0,
    blocksWindow: values.has('blocks.window')
      ? read('blocks.window', positiveDuration)
      : BLOCK_WINDOW_MS,
    lookback: read('query.lookback-delta', parseDuration),
    queryTimeout: read('query.timeout', parseDuration),
    queryMaxSamples: read('query.max-samples', count),
    queryMaxConcurrency: read('query.max-concurrency', count),
    features: names(values.get('enable-feature') ?? ''),
    queryComplete: values.get('query.complete') === 'true',
    scrapeConcurrency: read('scrape.concurrency', count),
    logLevel: (values.get('log.level') ?? 'info') as LogLevel,
  };
}

function labelNames(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  const wrong = names.find((name) => name === '' || !isLegacyLabelName(name));
  if (wrong !== undefined) throw new CanopyError('bad_data', `"${wrong}" is not a label name`);
  return names;
}

const names = (text: string): ReadonlySet<string> =>
  new Set(
    text
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  );

function positiveDuration(text: string): DurationMs {
  const duration = parseDuration(text);
  if (duration < 1000) throw new CanopyError('bad_data', `"${text}" is shorter than a second`);
  return duration;
}

export function authority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** `host:port`, `:port`, `[::1]:port`. */
export function parseListenAddress(text: string): { host: string; port: number } {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535) {
    throw new CanopyError('bad_data', `"${text}" is not an address like 127.0.0.1:9090 or :9090`);
  }
  return { host: parts[1] ?? parts[2] ?? '', port };
}

function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new CanopyError('bad_data', `"${text}" is not a URL like http://127.0.0.1:9090`);
  }
  return text.replace(/\/+$/, '');
}

function redisUrl(text: string): string {
  parseAddress(text);
  return text;
}

const WAIT_REPLICAS_MAX = 100;
/** A command that waits longer would be taken for lost. */
const WAIT_TIMEOUT_MS_MAX = 60_000;

function redisSettings(
  values: FlagValues,
  read: <T>(flag: string, parse: (text: string) => T) => T,
): RedisSettings {
  const file = (name: string) => values.get(`store.redis.${name}`);
  const tls = ['tls-ca-file', 'tls-cert-file', 'tls-key-file', 'tls-server-name'];
  const given = tls.find((name) => file(name) !== undefined);
  const address = values.has('store') ? read('store', parseAddress) : undefined;
  if (given !== undefined && address?.tls !== true) {
    const text = `--store.redis.${given}: only for a --store that begins with rediss`;
    throw new CanopyError('config_invalid', text);
  }
  if ((file('tls-cert-file') === undefined) !== (file('tls-key-file') === undefined)) {
    const text = '--store.redis.tls-cert-file and --store.redis.tls-key-file go together';
    throw new CanopyError('config_invalid', text);
  }
  return {
    tlsCaFile: file('tls-ca-file'),
    tlsCertFile: file('tls-cert-file'),
    tlsKeyFile: file('tls-key-file'),
    tlsServerName: file('tls-server-name'),
    waitReplicas: values.has('store.redis.wait-replicas')
      ? read('store.redis.wait-replicas', parseReplicas)
      : 0,
    waitTimeout: values.has('store.redis.wait-timeout')
      ? read('store.redis.wait-timeout', parseWait)
      : (1000 as DurationMs),
  };
}

function parseReplicas(text: string): number {
  const count = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (count <= WAIT_REPLICAS_MAX) return count;
  throw new CanopyError('bad_data', `"${text}" is not a number from 0 to ${WAIT_REPLICAS_MAX}`);
}

function parseWait(text: string): DurationMs {
  const wait = parseDuration(text);
  if (wait > 0 && wait <= WAIT_TIMEOUT_MS_MAX) return wait;
  throw new CanopyError('bad_data', `"${text}" is not a time above 0 and up to 1m`);
}
