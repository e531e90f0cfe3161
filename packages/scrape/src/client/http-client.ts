/**
 * How requests leave the process for one `http_config`: TLS, proxy, kept connections.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { CanopyError, type DurationMs } from '@canopy/model';
import type { HttpClientConfig, ProxyConfig, TlsConfig } from '../config.js';
import type { FileTexts } from './file-texts.js';
import { type Environment, type ProxyFor, proxyRule } from './proxy.js';

export type Headers = Readonly<Record<string, string | readonly string[]>>;

export interface SendOptions {
  readonly method?: string;
  readonly headers: Headers;
  /** Aborting it ends the request, a connection to a proxy included. */
  readonly signal: AbortSignal;
}

/** The part of the configuration that decides over connections. */
export type RouteConfig = Pick<HttpClientConfig, 'tls' | 'proxy'>;

/** Connections of one configuration. `open` makes it ready; then requests may be sent. */
export class HttpClient implements Disposable {
  readonly #files: FileTexts;
  readonly #tls: TlsConfig | undefined;
  readonly #proxy: ProxyConfig | undefined;
  readonly #proxyFor: ProxyFor;
  readonly #agentOptions: https.AgentOptions;
  readonly #plain: http.Agent;
  #secure: https.Agent;
  #tunnels = new Map<string, TunnelAgent>();
  /** Texts of certificates as `#secure` has them. */
  #tlsTexts = '';

  /** @throws TypeError where the environment's proxy is not a URL. */
  constructor(config: RouteConfig, files: FileTexts, env: Environment, idleTimeout: DurationMs) {
    this.#files = files;
    this.#tls = config.tls;
    this.#proxy = config.proxy;
    this.#proxyFor = proxyRule(config.proxy, env);
    // One target is asked by one loop at a time: one kept connection is enough.
    this.#agentOptions = { keepAlive: true, maxFreeSockets: 2, timeout: idleTimeout };
    this.#plain = new http.Agent(this.#agentOptions);
    this.#secure = new https.Agent(this.#agentOptions);
  }

  /**
   * Reads certificates that have changed; new connections use them.
   * @throws CanopyError `unavailable`, `config_invalid` for what is no certificate.
   */
  async open(): Promise<void> {
    const config = this.#tls;
    if (config === undefined) return;
    const text = async (source: TlsConfig['ca'], what: string): Promise<string | undefined> => {
      try {
        return source === undefined ? undefined : await this.#files.read(source);
      } catch (error) {
        throw new CanopyError('unavailable', `unable to read ${what}: ${(error as Error).message}`);
      }
    };
    const ca = await text(config.ca, 'CA cert');
    const cert = await text(config.cert, 'client cert');
    const key = await text(config.key, 'client key');
    const texts = JSON.stringify([ca, cert, key]);
    if (texts === this.#tlsTexts) return;
    const options = tlsOptions(config, ca, cert, key);
    for (const agent of [this.#secure, ...this.#tunnels.values()]) retire(agent);
    this.#tunnels = new Map();
    this.#secure = new https.Agent({ ...this.#agentOptions, ...options });
    this.#tlsTexts = texts;
  }

  /** The request, not ended yet. */
  request(
    url: URL,
    options: SendOptions,
    onResponse: (response: http.IncomingMessage) => void,
  ): http.ClientRequest {
    const { method, signal } = options;
    const headers = options.headers as http.OutgoingHttpHeaders;
    const common = { method, signal };
    const secure = url.protocol === 'https:';
    const proxy = this.#proxyFor(url);
    if (proxy === undefined) {
      return secure
        ? https.request(url, { ...common, headers, agent: this.#secure }, onResponse)
        : http.request(url, { ...common, headers, agent: this.#plain }, onResponse);
    }
    if (secure) {
      const through = { ...common, headers, agent: this.#tunnel(proxy), connectSignal: signal };
      return https.request(url, through, onResponse);
    }
    const toProxy = proxy.protocol === 'https:';
    const ask = {
      ...common,
      ...addressOf(proxy),
      path: `${url.origin}${url.pathname}${url.search}`,
      headers: { ...headers, host: url.host, ...proxyAuthorization(proxy) },
    };
    return toProxy
      ? https.request({ ...ask, agent: this.#secure }, onResponse)
      : http.request({ ...ask, agent: this.#plain }, onResponse);
  }

  #tunnel(proxy: URL): TunnelAgent {
    let agent = this.#tunnels.get(proxy.href);
    if (agent === undefined) {
      const header = this.#proxy?.connectHeader ?? {};
      agent = new TunnelAgent(proxy, header, this.#secure.options);
      this.#tunnels.set(proxy.href, agent);
    }
    return agent;
  }

  /** Closes kept connections. */
  [Symbol.dispose](): void {
    for (const agent of [this.#plain, this.#secure, ...this.#tunnels.values()]) agent.destroy();
  }

  /** Nothing new is sent: unused connections are closed, used ones after their answer. */
  retire(): void {
    for (const agent of [this.#plain, this.#secure, ...this.#tunnels.values()]) retire(agent);
  }
}

function retire(agent: http.Agent): void {
  (agent as unknown as { keepAlive: boolean }).keepAlive = false;
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy();
  }
}

function tlsOptions(
  config: TlsConfig,
  ca: string | undefined,
  cert: string | undefined,
  key: string | undefined,
): https.AgentOptions {
  const { minVersion, maxVersion } = config;
  // Versions before 1.2 need signatures that OpenSSL 3 does not allow by itself.
  const old = minVersion === 'TLSv1' || minVersion === 'TLSv1.1';
  const ciphers = old ? { ciphers: 'DEFAULT@SECLEVEL=0' } : {};
  const given = { ca, cert, key, minVersion, maxVersion, ...ciphers };
  const options = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  let secureContext: tls.SecureContext;
  try {
    secureContext = tls.createSecureContext(options);
  } catch (error) {
    // OpenSSL's texts name the fault, never the key.
    const { message } = error as Error;
    throw new CanopyError('config_invalid', `unable to use the given certificates: ${message}`);
  }
  return {
    secureContext,
    rejectUnauthorized: !config.insecureSkipVerify,
    ...(config.serverName === undefined ? {} : { servername: config.serverName }),
  };
}

/**
 * Connections to TLS servers through a proxy's CONNECT. Own, because https-proxy-agent 7 keeps the socket
 * of a proxy that never answers: one more for each scrape.
 */
class TunnelAgent extends https.Agent {
  readonly #proxy: URL;
  readonly #header: ProxyConfig['connectHeader'];

  constructor(proxy: URL, header: ProxyConfig['connectHeader'], options: https.AgentOptions) {
    super(options);
    this.#proxy = proxy;
    this.#header = header;
  }

  override createConnection(
    options: https.RequestOptions & { connectSignal?: AbortSignal },
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const proxy = this.#proxy;
    const host = options.host ?? '';
    const authority = `${host.includes(':') ? `[${host}]` : host}:${options.port ?? 443}`;
    const done = callback as (error: Error | null, stream?: Duplex) => void;
    // What the configuration says of certificates holds for a proxy behind TLS, too.
    const { secureContext, rejectUnauthorized, servername } = this.options;
    const certified = Object.fromEntries(
      Object.entries({ secureContext, rejectUnauthorized, servername }).filter(
        ([, value]) => value !== undefined,
      ),
    );
    const connect = (proxy.protocol === 'https:' ? https : http).request({
      ...certified,
      ...addressOf(proxy),
      method: 'CONNECT',
      path: authority,
      headers: {
        host: authority,
        ...(this.#header as Record<string, string[]>),
        ...proxyAuthorization(proxy),
      },
      agent: false,
      // Node takes `signal` out of what an agent is told.
      signal: options.connectSignal,
    });
    connect.once('connect', (response, socket, rest: Buffer) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        const text = response.statusMessage || http.STATUS_CODES[response.statusCode ?? 0] || '';
        return done(new Error(text === '' ? `proxy answered ${response.statusCode}` : text));
      }
      if (rest.length > 0) socket.unshift(rest);
      done(null, tls.connect({ ...(options as tls.ConnectionOptions), socket }));
    });
    // An answer that is not CONNECT's: the proxy does not know the method.
    connect.once('response', (response) => {
      response.destroy();
      done(new Error(`proxy answered ${response.statusCode}`));
    });
    connect.once('error', (error) => done(Object.assign(error, { proxyConnect: true })));
    connect.end();
    return undefined;
  }
}

function addressOf(proxy: URL): { protocol: string; hostname: string; port: number } {
  const port = Number(proxy.port) || (proxy.protocol === 'https:' ? 443 : 80);
  return { protocol: proxy.protocol, hostname: proxy.hostname.replace(/^\[|\]$/g, ''), port };
}

function proxyAuthorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}
