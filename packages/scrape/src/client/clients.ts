/**
 * From an `http_config` to what one request needs: connections, credentials, headers.
 */
import type { Clock, DurationMs } from '@canopy/model';
import type { Auth, AuthConfig, HttpClientConfig, OAuth2Config } from '../config.js';
import { FileTexts } from './file-texts.js';
import { type Headers, HttpClient, type RouteConfig } from './http-client.js';
import { TokenSource } from './oauth2.js';
import type { Environment } from './proxy.js';

/** Configurations whose connections are kept; over it the oldest one is given up. */
const CLIENTS_MAX = 1000;

/** What is said to the configured host, and to no other it may redirect to. */
export interface OpenedClient {
  readonly client: HttpClient;
  readonly headers: Headers;
}

/** All clients of a process, by what their configurations say. */
export class HttpClients implements Disposable {
  readonly #clock: Clock;
  readonly #env: Environment;
  readonly #idleTimeout: DurationMs;
  readonly #files: FileTexts;
  readonly #clients = new Map<string, HttpClient>();
  readonly #byConfig = new WeakMap<object, string>();
  readonly #tokens = new WeakMap<OAuth2Config, TokenSource>();

  constructor(clock: Clock, env: Environment, idleTimeout: DurationMs) {
    this.#clock = clock;
    this.#env = env;
    this.#idleTimeout = idleTimeout;
    this.#files = new FileTexts(clock);
  }

  /** Configurations whose connections are kept. */
  get size(): number {
    return this.#clients.size;
  }

  /**
   * Reads what has changed on disk, gets a token where one is needed.
   * @throws CanopyError `unavailable`, `config_invalid`.
   */
  async open(config: HttpClientConfig): Promise<OpenedClient> {
    const client = this.#clientOf(config);
    await client.open();
    const headers: Record<string, string | string[]> = {};
    for (const { name, values } of config.httpHeaders ?? []) {
      headers[name] = await Promise.all(values.map((value) => this.#files.read(value)));
    }
    const authorization = await this.#authorization(config.auth);
    if (authorization !== undefined) headers.authorization = authorization;
    return { client, headers };
  }

  async #authorization(auth: AuthConfig | undefined): Promise<string | undefined> {
    if (auth === undefined) return undefined;
    if (auth.type === 'oauth2') {
      let source = this.#tokens.get(auth);
      if (source === undefined) {
        source = new TokenSource(auth, this.#clock, this.#files, this.#clientOf(auth));
        this.#tokens.set(auth, source);
      }
      return source.authorization();
    }
    if (auth.type === 'basic') {
      const username = await this.#files.read(auth.username);
      const password = await this.#files.read(auth.password);
      return authorizationOf({ type: 'basic', username, password });
    }
    const credentials = await this.#files.read(auth.credentials);
    return authorizationOf({ type: 'header', scheme: auth.scheme, credentials });
  }

  #clientOf(config: RouteConfig): HttpClient {
    let key = this.#byConfig.get(config);
    if (key === undefined) {
      key = JSON.stringify([config.tls, config.proxy]);
      this.#byConfig.set(config, key);
    }
    let client = this.#clients.get(key);
    if (client === undefined) {
      const { tls, proxy } = config;
      client = new HttpClient({ tls, proxy }, this.#files, this.#env, this.#idleTimeout);
      for (const [oldest, unused] of this.#clients) {
        if (this.#clients.size < CLIENTS_MAX) break;
        unused.retire();
        this.#clients.delete(oldest);
      }
      this.#clients.set(key, client);
    }
    return client;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client[Symbol.dispose]();
  }
}

export function authorizationOf(auth: Auth): string {
  if (auth.type === 'header') return `${auth.scheme} ${auth.credentials}`;
  return `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;
}

/** `auth` where all of it stands in the configuration. */
export function givenAuth(auth: AuthConfig | undefined): Auth | undefined {
  if (auth === undefined || auth.type === 'oauth2') return undefined;
  if (auth.type === 'basic') {
    const { username, password } = auth;
    if (typeof username !== 'string' || typeof password !== 'string') return undefined;
    return { type: 'basic', username, password };
  }
  const { scheme, credentials } = auth;
  return typeof credentials === 'string' ? { type: 'header', scheme, credentials } : undefined;
}
