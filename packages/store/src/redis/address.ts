/** The address of a Redis as people write it: one server, a master that Sentinel knows, or a Cluster. */
import { CanopyError } from '@canopy/model';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly kind: 'alone' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** The server; or the sentinels; or some nodes of the cluster, which name the others. */
  readonly hosts: readonly HostPort[];
  /** '' where none is given; so are the others. */
  readonly user: string;
  readonly password: string;
  /** 0 in a cluster, which has no other. */
  readonly database: number;
  /** What Sentinel calls the master; '' without Sentinel. */
  readonly master: string;
  readonly sentinelUser: string;
  readonly sentinelPassword: string;
}

/** The forms there are, for messages and CONFIG.md. `rediss` in place of `redis`: over TLS. */
export const ADDRESS_FORMS = [
  'redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]',
  'redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST…/MASTER[/DATABASE][?sentinel_username=…&sentinel_password=…]',
  'redis+cluster://[USER:PASSWORD@]HOST[:PORT],HOST…',
] as const;

const SCHEME = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/;
const HOST = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*))(?::(\d{1,5}))?$/;
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** @throws CanopyError `bad_data`; the message never repeats the text, which may hold a password. */
export function parseAddress(text: string): RedisAddress {
  const parts = SCHEME.exec(text);
  if (parts === null) throw malformed();
  const [, scheme, topology, authority, path, query] = parts;
  const kind = (topology ?? 'alone') as RedisAddress['kind'];
  const at = authority.lastIndexOf('@');
  const [user, password] = at < 0 ? ['', ''] : parseUser(authority.slice(0, at));
  const port = kind === 'sentinel' ? SENTINEL_PORT : REDIS_PORT;
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map((host) => parseHost(host, port));
  if (kind === 'alone' && hosts.length > 1) {
    throw bad('several hosts need redis+sentinel:// or redis+cluster://');
  }
  const segments = path.split('/').slice(1).map(decode);
  const master = kind === 'sentinel' ? (segments.shift() ?? '') : '';
  if (kind === 'sentinel' && master === '') {
    throw bad("Sentinel's name of the master is missing: redis+sentinel://HOST:26379/mymaster");
  }
  const database = parseDatabase(segments);
  if (kind === 'cluster' && database !== 0) throw bad('a cluster has database 0 only');
  return {
    ...{ kind, tls: scheme === 'rediss', hosts, user, password, database, master },
    ...parseQuery(query ?? '', kind),
  };
}

/** Host and port of every host; never user or password. */
export function describeAddress({ kind, hosts, master }: RedisAddress): string {
  const places = hosts.map(({ host, port }) => formatHost(host, port)).join(',');
  return kind === 'sentinel' ? `${places}/${master}` : places;
}

export function formatHost(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseUser(text: string): [user: string, password: string] {
  const colon = text.indexOf(':');
  return colon < 0
    ? [decode(text), '']
    : [decode(text.slice(0, colon)), decode(text.slice(colon + 1))];
}

function parseHost(text: string, defaultPort: number): HostPort {
  const parts = HOST.exec(text);
  const port = Number(parts?.[3] ?? defaultPort);
  if (parts === null || port === 0 || port > 65_535) throw malformed();
  return { host: parts[1] ?? (parts[2] === '' ? '127.0.0.1' : parts[2]), port };
}

function parseDatabase(segments: readonly string[]): number {
  const [text, ...more] = segments;
  if (text === undefined || text === '') return 0;
  if (more.length > 0 || !/^\d{1,5}$/.test(text)) throw bad('the database is not a number');
  return Number(text);
}

function parseQuery(
  query: string,
  kind: RedisAddress['kind'],
): Pick<RedisAddress, 'sentinelUser' | 'sentinelPassword'> {
  const known = { sentinel_username: '', sentinel_password: '' };
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    if (kind !== 'sentinel' || !Object.hasOwn(known, name)) {
      throw bad('a parameter after "?" is not known; sentinel_username and sentinel_password are');
    }
    known[name as keyof typeof known] = equals < 0 ? '' : decode(pair.slice(equals + 1));
  }
  return { sentinelUser: known.sentinel_username, sentinelPassword: known.sentinel_password };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('a "%" that is meant is written %25');
  }
}

function bad(message: string): CanopyError {
  return new CanopyError('bad_data', message);
}

const malformed = (): CanopyError =>
  bad(
    'not a URL like redis://127.0.0.1:6379, redis+sentinel://127.0.0.1:26379/mymaster or ' +
      'redis+cluster://127.0.0.1:7000,127.0.0.1:7001 (rediss… for TLS); ' +
      'characters like / and @ in a password are written %2F and %40',
  );
