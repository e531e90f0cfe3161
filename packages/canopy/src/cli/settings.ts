/**
 * Flags turned into checked values.
 */
import { hostname } from 'node:os';
import { CanopyError, type DurationMs, parseBytes, parseDuration } from '@canopy/model';
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
  readonly enableLifecycle: boolean;
  readonly name: string;
  readonly cluster: string | undefined;
  readonly storagePath: string;
  readonly storageMaxBytes: number;
  readonly storeUrl: string | undefined;
  readonly parentUrl: string | undefined;
  readonly tokenFile: string | undefined;
  readonly pageBytesMax: number;
  readonly journalRetention: DurationMs;
  readonly journalRetentionBytes: number;
  /** 0: no limit. A leaf keeps none beyond its window. */
  readonly retentionRaw: DurationMs;
  readonly retentionBytes: number;
  readonly lookback: DurationMs;
  readonly queryTimeout: DurationMs;
  readonly queryMaxSamples: number;
  readonly queryMaxConcurrency: number;
  readonly scrapeConcurrency: number;
  readonly logLevel: LogLevel;
}

/** @throws CanopyError `config_invalid` that names the flag. */
export function settingsOf(role: Role, values: FlagValues): Settings {
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
      ? `http://${authority(host === '' || host === '0.0.0.0' || host === '::' ? hostname() : host, port)}`
      : read('web.external-url', httpUrl);
  return {
    role,
    flags: Object.fromEntries(values),
    configFile: values.get('config.file'),
    listenHost: host,
    listenPort: port,
    externalUrl,
    enableLifecycle: values.get('web.enable-lifecycle') === 'true',
    name: values.get('leaf.name') ?? new URL(externalUrl).host,
    cluster: values.get('cluster'),
    storagePath: values.get('storage.path') ?? '',
    storageMaxBytes: read('storage.max-bytes', parseBytes),
    storeUrl: values.has('store') ? read('store', redisUrl) : undefined,
    parentUrl: values.has('parent') ? read('parent', httpUrl) : undefined,
    tokenFile: values.get('federation.token-file'),
    pageBytesMax: read('federation.max-page-bytes', parseBytes),
    journalRetention: read('journal.retention', parseDuration),
    journalRetentionBytes: read('journal.retention-bytes', parseBytes),
    retentionRaw: values.has('retention.raw')
      ? read('retention.raw', parseDuration)
      : (0 as DurationMs),
    retentionBytes: values.has('retention.bytes') ? read('retention.bytes', parseBytes) : 0,
    lookback: read('query.lookback-delta', parseDuration),
    queryTimeout: read('query.timeout', parseDuration),
    queryMaxSamples: read('query.max-samples', count),
    queryMaxConcurrency: read('query.max-concurrency', count),
    scrapeConcurrency: read('scrape.concurrency', count),
    logLevel: (values.get('log.level') ?? 'info') as LogLevel,
  };
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
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^rediss?:$/.test(url.protocol)) {
    throw new CanopyError(
      'bad_data',
      'not a URL like redis://127.0.0.1:6379 or rediss://host:6380',
    );
  }
  return text;
}
