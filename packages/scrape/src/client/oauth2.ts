/**
 * Bearer tokens by OAuth 2.0 client credentials, kept until shortly before they expire.
 */
import type { IncomingMessage } from 'node:http';
import { CanopyError, type Clock, type DurationMs, asDuration } from '@canopy/model';
import type { OAuth2Config } from '../config.js';
import type { FileTexts } from './file-texts.js';
import type { HttpClient } from './http-client.js';

const TOKEN_TIMEOUT = 30_000 as DurationMs;
const ANSWER_BYTES_MAX = 1 << 20;
/** A token is not used in its last seconds. Milliseconds. */
const EXPIRY_MARGIN = 10_000;

interface Token {
  readonly header: string;
  /** Monotonic; Infinity where the server names none. */
  readonly until: number;
  readonly secret: string;
}

/** The `Authorization` of one `oauth2` section. Many may ask at once; one request is made. */
export class TokenSource {
  readonly #config: OAuth2Config;
  readonly #clock: Clock;
  readonly #files: FileTexts;
  readonly #client: HttpClient;
  #token: Token | undefined;
  #asking: Promise<Token> | undefined;

  constructor(config: OAuth2Config, clock: Clock, files: FileTexts, client: HttpClient) {
    this.#config = config;
    this.#clock = clock;
    this.#files = files;
    this.#client = client;
  }

  /** @throws CanopyError `unavailable`: no token could be had. */
  async authorization(): Promise<string> {
    const secret = await this.#files.read(this.#config.clientSecret);
    const token = this.#token;
    const usable = token?.secret === secret && this.#clock.monotonic() < token.until;
    if (usable) return token.header;
    this.#asking ??= this.#ask(secret).finally(() => {
      this.#asking = undefined;
    });
    this.#token = await this.#asking;
    return this.#token.header;
  }

  async #ask(secret: string): Promise<Token> {
    const abort = new AbortController();
    const timer = this.#clock.after(TOKEN_TIMEOUT, () =>
      abort.abort(new CanopyError('unavailable', 'oauth2: cannot fetch token: i/o timeout')),
    );
    try {
      await this.#client.open();
      // RFC 6749 wants the header; servers that want the form refuse it with 4xx.
      let answer = await this.#post(secret, true, abort.signal);
      if (answer.status >= 400 && answer.status < 500) {
        answer = await this.#post(secret, false, abort.signal);
      }
      return this.#read(answer, secret);
    } catch (error) {
      if (abort.signal.aborted) throw abort.signal.reason;
      if (error instanceof CanopyError) throw error;
      const { message } = error as Error;
      throw new CanopyError('unavailable', `oauth2: cannot fetch token: ${message}`);
    } finally {
      timer.cancel();
    }
  }

  #read({ status, text }: TokenAnswer, secret: string): Token {
    // The body is not repeated: it may hold what should not be in a log.
    const refuse = (why: string): CanopyError =>
      new CanopyError('unavailable', `oauth2: cannot fetch token: ${why}`);
    if (status < 200 || status > 299) throw refuse(`server returned HTTP status ${status}`);
    let parsed: Record<string, unknown>;
    try {
      parsed = JSON.parse(text) as Record<string, unknown>;
    } catch {
      throw refuse('the answer is not JSON');
    }
    const { access_token: value, token_type: type } = parsed ?? {};
    if (typeof value !== 'string' || value === '')
      throw refuse('server response missing access_token');
    const seconds = Number(parsed.expires_in ?? 0);
    const until =
      seconds > 0
        ? this.#clock.monotonic() + asDuration(seconds * 1000) - EXPIRY_MARGIN
        : Number.POSITIVE_INFINITY;
    return { header: `${schemeOf(type)} ${value}`, until, secret };
  }

  #post(secret: string, byHeader: boolean, signal: AbortSignal): Promise<TokenAnswer> {
    const { clientId, scopes, tokenUrl, endpointParams } = this.#config;
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    if (scopes.length > 0) form.set('scope', scopes.join(' '));
    for (const [name, value] of Object.entries(endpointParams)) form.set(name, value);
    const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' };
    if (byHeader) {
      const pair = `${formText(clientId)}:${formText(secret)}`;
      headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
    } else {
      form.set('client_id', clientId);
      form.set('client_secret', secret);
    }
    const body = form.toString();
    headers['content-length'] = String(Buffer.byteLength(body));
    const options = { method: 'POST', headers, signal };
    return new Promise((resolve, reject) => {
      const request = this.#client.request(new URL(tokenUrl), options, (response) => {
        readText(response).then(
          (text) => resolve({ status: response.statusCode ?? 0, text }),
          reject,
        );
      });
      request.on('error', reject);
      request.end(body);
    });
  }
}

interface TokenAnswer {
  readonly status: number;
  readonly text: string;
}

function schemeOf(type: unknown): string {
  const known: Record<string, string> = { bearer: 'Bearer', mac: 'MAC', basic: 'Basic' };
  if (typeof type !== 'string' || !/^[\w-]+$/.test(type)) return 'Bearer';
  return known[type.toLowerCase()] ?? type;
}

const formText = (text: string): string => new URLSearchParams({ a: text }).toString().slice(2);

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += (chunk as Buffer).length;
    if (size > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}
