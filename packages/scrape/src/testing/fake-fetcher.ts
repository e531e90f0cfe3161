import { CanopyError, type Clock, type Gate, sleep } from '@canopy/model';
import type { FetchRequest, FetchedBody, Fetcher } from '../fetch.js';

/** What a URL answers: a body, an error, or a body that takes its time. */
export type FakeAnswer =
  | string
  | Error
  | {
      readonly body: string;
      readonly contentType?: string;
      /** Until the headers are there. Milliseconds. */
      readonly delay?: number;
      /** From there until the body is. Milliseconds. */
      readonly bodyDelay?: number;
    };

/** Bodies by URL without a network; time-outs run on the clock given. */
export class FakeFetcher implements Fetcher {
  readonly #clock: Clock;
  readonly #answer: (request: FetchRequest) => FakeAnswer;
  readonly requests: Array<{ readonly url: string; readonly time: number }> = [];

  constructor(clock: Clock, answer: (request: FetchRequest) => FakeAnswer) {
    this.#clock = clock;
    this.#answer = answer;
  }

  async fetch<T>(
    request: FetchRequest,
    gateFor: (contentType: string) => Gate,
    take: (answer: FetchedBody) => Promise<T>,
  ): Promise<T> {
    this.requests.push({ url: request.url, time: this.#clock.now() });
    const answer = this.#answer(request);
    if (answer instanceof Error) throw answer;
    const {
      body,
      contentType = 'text/plain',
      delay = 0,
      bodyDelay = 0,
    } = typeof answer === 'string' ? { body: answer } : answer;
    await this.#pass(request, delay);
    const bytes = Buffer.from(body);
    return gateFor(contentType)(async () => {
      await this.#pass(request, bodyDelay);
      return take({
        headers: new Map([['content-type', contentType]]),
        contentType,
        body: bytes,
        wireBytes: bytes.length,
      });
    });
  }

  async #pass({ timeout, signal }: FetchRequest, ms: number): Promise<void> {
    if (ms === 0) return;
    await sleep(this.#clock, Math.min(ms, timeout) as never, signal);
    if (ms > timeout) throw new CanopyError('timeout', 'context deadline exceeded');
  }
}
