/** The connection to one Redis: whether it can be used, errors in the words of the port, bounded commands. */
import {
  CanopyError,
  type Clock,
  type DurationMs,
  asDuration,
  errorText,
  formatBytes,
  sleep,
} from '@canopy/model';
import { Redis } from 'ioredis';
import type { StoreHealth, StoreLog } from '../health.js';

export interface ConnectionOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly commandTimeout: DurationMs;
  readonly log: StoreLog;
}

const RECONNECT_MS_MAX = 2000;
/** An unsuitable server is looked at again after this long: somebody may have mended it. */
const RECHECK_MS = 5000;
const PROBE_PAUSE = asDuration(200);
const VERSION_MIN = [6, 2] as const;

export class RedisConnection {
  readonly #options: ConnectionOptions;
  readonly #client: Redis;
  /** Host and port, never user or password. */
  readonly #address: string;
  #checked: Promise<void> | undefined;
  #checkedAt = 0;
  #unsuitable: CanopyError | undefined;
  #lastError = '';
  #closed = false;
  #message = '';
  /** A command timed out and none was answered since: others fail at once, none waits as long again. */
  #silent = false;

  /** @throws CanopyError `storage_unsuitable` for an address that is none. */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    const url = parseUrl(options.url);
    this.#address = `${url.hostname || '127.0.0.1'}:${url.port || '6379'}`;
    this.#client = new Redis(options.url, {
      lazyConnect: true,
      // A command that cannot be sent fails at once: callers keep their data and try again.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: options.commandTimeout,
      connectTimeout: options.commandTimeout,
      retryStrategy: (times) => Math.min(RECONNECT_MS_MAX, 50 * 2 ** Math.min(times, 6)),
      // A replica that was the master until now: the name may lead to the new one.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    });
    this.#client.on('error', (error: Error) => this.#noteError(error));
    this.#client.on('ready', () => void this.#check());
    this.#client.on('close', () => this.#noteClosed());
  }

  get health(): StoreHealth {
    if (this.#unsuitable !== undefined) {
      return { healthy: false, message: this.#unsuitable.message };
    }
    if (this.#silent || this.#client.status !== 'ready' || this.#checked === undefined) {
      const reason = this.#lastError === '' ? 'not connected' : this.#lastError;
      return { healthy: false, message: `Redis at ${this.#address} does not answer: ${reason}` };
    }
    return { healthy: true, message: this.#message };
  }

  /**
   * Connects; resolves also where Redis does not answer (it is tried again until it does).
   * @throws CanopyError `storage_unsuitable` where a server answers that cannot be used.
   */
  async open(): Promise<void> {
    try {
      await this.#client.connect();
      await this.#check();
    } catch (error) {
      this.#noteError(error);
    }
    const secretRefused = isSecretRefused(this.#lastError);
    if (this.#unsuitable === undefined && secretRefused) this.#unsuitable = this.#secretError();
    if (this.#unsuitable !== undefined) {
      await this.close();
      throw this.#unsuitable;
    }
    if (!this.health.healthy) this.#options.log('warn', this.health.message);
  }

  /** Runs commands; what goes wrong comes out as a CanopyError of the port. */
  async run<T>(commands: (client: Redis) => Promise<T>): Promise<T> {
    if (this.#closed) throw new CanopyError('storage_unavailable', 'the store is closed');
    const { clock } = this.#options;
    if (this.#unsuitable !== undefined && clock.monotonic() - this.#checkedAt > RECHECK_MS) {
      await this.#check();
    }
    if (this.#client.status === 'ready') await this.#checked;
    if (this.#unsuitable !== undefined) throw this.#unsuitable;
    if (this.#silent || this.#client.status !== 'ready') {
      throw new CanopyError('storage_unavailable', this.health.message);
    }
    try {
      return await commands(this.#client);
    } catch (error) {
      if (isTimeout(error) && !this.#silent) {
        this.#silent = true;
        this.#noteError(error);
        this.#options.log('warn', this.health.message);
        void this.#listen();
      }
      throw this.#translate(error);
    }
  }

  /** Asks until a server that fell silent answers, or its connection ends. */
  async #listen(): Promise<void> {
    const { clock, log } = this.#options;
    while (this.#silent && !this.#closed) {
      try {
        await this.#client.ping();
        this.#silent = false;
        log('info', `Redis at ${this.#address} answers again`);
      } catch (error) {
        if (!isTimeout(error)) this.#silent = false;
        else await sleep(clock, PROBE_PAUSE);
      }
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#client.disconnect();
    return Promise.resolve();
  }

  #check(): Promise<void> {
    this.#checkedAt = this.#options.clock.monotonic();
    const check = this.#inspect().catch((error: unknown) => this.#noteError(error));
    this.#checked = check;
    return check;
  }

  async #inspect(): Promise<void> {
    let facts: Map<string, string>;
    try {
      facts = parseInfo(await this.#client.info());
    } catch (error) {
      if (isSecretRefused(errorText(error))) this.#unsuitable = this.#secretError();
      throw error;
    }
    const wasUnsuitable = this.#unsuitable !== undefined;
    const complaint = findComplaint(facts);
    this.#unsuitable =
      complaint === ''
        ? undefined
        : new CanopyError('storage_unsuitable', `Redis at ${this.#address} ${complaint}`);
    if (this.#unsuitable !== undefined) {
      if (!wasUnsuitable) this.#options.log('error', this.#unsuitable.message);
      return;
    }
    this.#lastError = '';
    const words = describe(facts);
    const message = `Redis ${facts.get('redis_version')} at ${this.#address}; ${words.text}`;
    if (message !== this.#message) this.#options.log(words.safe ? 'info' : 'warn', message);
    this.#message = message;
  }

  #noteError(error: unknown): void {
    const text = firstLine(error);
    // Says nothing where the reason came before it.
    if (text === 'Connection is closed.' && this.#lastError !== '') return;
    this.#lastError = text;
  }

  #noteClosed(): void {
    if (this.#checked !== undefined && !this.#closed) {
      this.#options.log('warn', `lost the connection to Redis at ${this.#address}`);
    }
    this.#checked = undefined;
    this.#silent = false;
  }

  #secretError(): CanopyError {
    const text = `Redis at ${this.#address} refuses the user or password of the store's address`;
    return new CanopyError('storage_unsuitable', text);
  }

  #translate(error: unknown): CanopyError {
    if (error instanceof CanopyError) return error;
    const text = firstLine(error);
    const at = `Redis at ${this.#address}`;
    if (isSecretRefused(text)) return this.#secretError();
    if (/^OOM\b|\bOOM command not allowed/.test(text)) {
      return new CanopyError('storage_full', `${at} has reached maxmemory`, { cause: error });
    }
    if (/^(NOPERM|WRONGTYPE)\b/.test(text)) {
      return new CanopyError('storage_unsuitable', `${at}: ${text}`, { cause: error });
    }
    return new CanopyError('storage_unavailable', `${at}: ${text}`, { cause: error });
  }
}

/** ioredis's word for `commandTimeout`. */
const isTimeout = (error: unknown): boolean => errorText(error) === 'Command timed out';

/** What makes a server unusable, with the command that mends it; '' where it is usable. */
export function findComplaint(facts: ReadonlyMap<string, string>): string {
  const version = facts.get('redis_version') ?? '0';
  const [major, minor] = version.split('.').map(Number);
  if (major < VERSION_MIN[0] || (major === VERSION_MIN[0] && minor < VERSION_MIN[1])) {
    return `has version ${version}; ${VERSION_MIN.join('.')} or later is needed`;
  }
  const policy = facts.get('maxmemory_policy') ?? 'noeviction';
  // Without a limit nothing is ever evicted, but the limit may come later without a restart.
  if (policy !== 'noeviction') {
    return (
      `has maxmemory-policy ${policy}, which would drop metrics without a word; ` +
      'set it with: redis-cli CONFIG SET maxmemory-policy noeviction'
    );
  }
  if (facts.get('role') === 'slave') return 'is a replica; the address of the master is needed';
  return '';
}

function describe(facts: ReadonlyMap<string, string>): { text: string; safe: boolean } {
  const limit = Number(facts.get('maxmemory') ?? 0);
  const appendOnly = facts.get('aof_enabled') === '1';
  const memory = limit === 0 ? 'no maxmemory is set' : `maxmemory is ${formatBytes(limit)}`;
  const persistence = appendOnly
    ? 'the append-only file is on'
    : 'the append-only file is off, so a crash of Redis loses what came after its last snapshot';
  return { text: `${memory}, ${persistence}`, safe: limit !== 0 && appendOnly };
}

/** `name:value` lines of INFO. */
export function parseInfo(text: string): Map<string, string> {
  const facts = new Map<string, string>();
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) facts.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return facts;
}

function parseUrl(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Said below; the text may hold a password and is not repeated.
  }
  if (url === undefined || (url.protocol !== 'redis:' && url.protocol !== 'rediss:')) {
    throw new CanopyError(
      'storage_unsuitable',
      'the address of the store is not of the form redis://host:port or rediss://host:port',
    );
  }
  return url;
}

function isSecretRefused(text: string): boolean {
  return /\b(NOAUTH|WRONGPASS)\b|invalid password|without any password/i.test(text);
}

function firstLine(error: unknown): string {
  return errorText(error).split('\n', 1)[0];
}
