/** One request with a body and a short answer, under an `http_config`. */
import type { IncomingMessage } from 'node:http';
import { CanopyError, type Clock, type DurationMs } from '@canopy/model';
import type { HttpClientConfig } from '../config.js';
import { describe } from '../fetch.js';
import { HttpClients } from './clients.js';
import type { Environment } from './proxy.js';

export interface SentRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** '' for none. */
  readonly body: string;
  readonly timeout: DurationMs;
  /** What is beyond is not read. */
  readonly answerBytesMax: number;
}

export interface HttpSenderOptions {
  readonly clock: Clock;
  readonly userAgent: string;
  readonly idleTimeout: DurationMs;
  readonly env: Environment;
}

/** Follows no redirects: credentials go to the address that was given. */
export class HttpSender implements Disposable {
  readonly #options: HttpSenderOptions;
  readonly #clients: HttpClients;

  constructor(options: HttpSenderOptions) {
    this.#options = options;
    this.#clients = new HttpClients(options.clock, options.env, options.idleTimeout);
  }

  /** Rejects with a CanopyError whose text is for people where there is no answer in time. */
  async send(
    request: SentRequest,
    config: HttpClientConfig,
  ): Promise<{ status: number; body: string }> {
    const late = new AbortController();
    const timer = this.#options.clock.after(request.timeout, () =>
      late.abort(new CanopyError('timeout', 'context deadline exceeded')),
    );
    try {
      const { client, headers: secret } = await this.#clients.open(config);
      const headers = {
        'user-agent': this.#options.userAgent,
        ...request.headers,
        ...secret,
        'content-length': String(Buffer.byteLength(request.body)),
      };
      const { method, url, body } = request;
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const sent = client.request(
          new URL(url),
          { method, headers, signal: late.signal },
          resolve,
        );
        sent.on('error', reject);
        sent.end(body);
      });
      return {
        status: response.statusCode ?? 0,
        body: await beginningOf(response, request.answerBytesMax),
      };
    } catch (error) {
      throw describe(error, request.url, late.signal);
    } finally {
      timer.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#clients[Symbol.dispose]();
  }
}

async function beginningOf(response: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= bytesMax) break;
  }
  return Buffer.concat(chunks).subarray(0, bytesMax).toString('utf8');
}
