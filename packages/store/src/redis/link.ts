/** ioredis for one server, for Sentinel and for a Cluster, behind one face. */
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { Cluster, Command, Redis, type RedisCommander, type RedisOptions } from 'ioredis';
import type { RedisAddress } from './address.js';
import { outcomeWord } from './outcomes.js';

export interface RedisTls {
  /** PEM; undefined: the authorities that Node.js trusts. */
  readonly ca?: string | undefined;
  /** PEM of the client, both or neither. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Name expected in the servers' certificates; undefined: the host of each address. */
  readonly serverName?: string | undefined;
}

export interface LinkOptions {
  readonly address: RedisAddress;
  readonly tls: RedisTls | undefined;
  readonly commandTimeoutMs: number;
}

const RECONNECT_MS_MAX = 2000;
/** A peer that hangs never answers the end of a connection. */
const DISCONNECT_MS = 500;
/**
 * A connection on which nothing comes for so many times as long as a command may take, though something was asked, is given
 * up for a new one: what stands between (a balancer, a firewall that forgot it) may take all that is sent and never end.
 */
const SILENT_TIMEOUTS = 3;
/** Redirections and short waits inside one command of a cluster; then the caller tries again later. */
const REDIRECTIONS_MAX = 8;
const REDIRECTION_PAUSE_MS = 100;
/** A failover is over in seconds: the map of slots is read anew at least this often. */
const SLOTS_REFRESH_MS = 2000;

/** What commands are called on. */
export type Commands = RedisCommander;

export class RedisLink {
  readonly kind: RedisAddress['kind'];
  readonly #client: Redis | Cluster;

  constructor({ address, tls, commandTimeoutMs }: LinkOptions) {
    this.kind = address.kind;
    const common = commonOptions(address, tls, commandTimeoutMs);
    if (address.kind === 'cluster') this.#client = makeCluster(address, common);
    else this.#client = new Redis({ ...common, ...aloneOptions(address, tls, commandTimeoutMs) });
  }

  /** For commands with a key (or any, without Cluster). */
  get commands(): Commands {
    return this.#client as unknown as Commands;
  }

  get isReady(): boolean {
    return this.#client.status === 'ready';
  }

  on(
    event: 'ready' | 'close' | 'error' | '+node' | 'node error',
    then: (value: Error) => void,
  ): void {
    (this.#client as Redis).on(event as 'error', then);
  }

  /** Rejects where the first try fails; further ones go on. */
  connect(): Promise<void> {
    return this.#client.connect();
  }

  /** Servers that are written to: one, or the masters of the cluster. */
  masters(): Redis[] {
    return this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client];
  }

  /** The server that holds `key`, as far as is known. */
  masterOf(key: string): Redis | undefined {
    if (!(this.#client instanceof Cluster)) return this.#client;
    const name = this.#client.slots[slotOf(key)]?.[0];
    return this.#client.nodes('master').find((node) => nameOf(node) === name);
  }

  /** `host:port` of the server that holds `key`; '' without Cluster. */
  nameFor(key: string): string {
    if (!(this.#client instanceof Cluster)) return '';
    return this.#client.slots[slotOf(key)]?.[0] ?? '';
  }

  /** Connects anew: Sentinel is asked where the master is now. */
  reconnect(): void {
    if (this.#client instanceof Redis) this.#client.disconnect(true);
  }

  close(): void {
    this.#client.disconnect();
  }
}

/** `host:port` that a connection leads to. */
export function nameOf(node: Redis): string {
  return `${node.options.host}:${node.options.port}`;
}

function slotOf(key: string): number {
  return new Command('get', [key]).getSlot() as number;
}

function commonOptions(
  address: RedisAddress,
  tls: RedisTls | undefined,
  commandTimeoutMs: number,
): RedisOptions {
  return {
    lazyConnect: true,
    ...(address.user === '' ? {} : { username: address.user }),
    ...(address.password === '' ? {} : { password: address.password }),
    ...(tls === undefined ? {} : { tls: tlsOptions(tls) }),
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    socketTimeout: SILENT_TIMEOUTS * commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    disconnectTimeout: DISCONNECT_MS,
    disableClientInfo: true,
    // What a server is and whether it loads its data is looked at by the connection, in words.
    enableReadyCheck: false,
  };
}

function tlsOptions({ ca, cert, key, serverName }: RedisTls): TlsOptions {
  return { ca, cert, key, ...(serverName === undefined ? {} : { servername: serverName }) };
}

function aloneOptions(
  address: RedisAddress,
  tls: RedisTls | undefined,
  commandTimeoutMs: number,
): RedisOptions {
  const options: RedisOptions = {
    db: address.database,
    // A command that cannot be sent fails at once: callers keep their data and try again.
    enableOfflineQueue: false,
    retryStrategy: pause,
    // A replica that was the master until now: the name, or Sentinel, may lead to the new one.
    reconnectOnError: (error) => outcomeWord(error) === 'READONLY',
  };
  if (address.kind === 'alone') return { ...options, ...address.hosts[0] };
  return {
    ...options,
    sentinels: address.hosts.map((host) => ({ ...host })),
    name: address.master,
    ...(address.sentinelUser === '' ? {} : { sentinelUsername: address.sentinelUser }),
    ...(address.sentinelPassword === '' ? {} : { sentinelPassword: address.sentinelPassword }),
    ...(tls === undefined ? {} : { sentinelTLS: tlsOptions(tls), enableTLSForSentinelMode: true }),
    sentinelCommandTimeout: commandTimeoutMs,
    sentinelRetryStrategy: pause,
  };
}

function makeCluster(address: RedisAddress, common: RedisOptions): Cluster {
  return new Cluster(
    address.hosts.map((host) => ({ ...host })),
    {
      lazyConnect: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      maxRedirections: REDIRECTIONS_MAX,
      retryDelayOnFailover: REDIRECTION_PAUSE_MS,
      // Tried again at a node by chance, which may hang: the caller hears of it at once instead.
      retryDelayOnClusterDown: 0,
      retryDelayOnTryAgain: REDIRECTION_PAUSE_MS,
      slotsRefreshInterval: SLOTS_REFRESH_MS,
      clusterRetryStrategy: pause,
      // Names stay names, so that certificates are compared with what the user wrote.
      dnsLookup: (host, found) => found(null, host),
      redisOptions: common,
    },
  );
}

function pause(times: number): number {
  return Math.min(RECONNECT_MS_MAX, 50 * 2 ** Math.min(times, 6));
}
