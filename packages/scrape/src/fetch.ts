import type { DurationMs, Gate } from '@canopy/model';
import type { Auth } from './config.js';

export interface FetchRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly auth: Auth | undefined;
  /** From the start to the last byte of the body. */
  readonly timeout: DurationMs;
  /** Decompressed. 0: the fetcher's own maximum. */
  readonly bodyBytesMax: number;
  readonly followRedirects: boolean;
  /** Aborting it ends the fetch until the body is complete. */
  readonly signal: AbortSignal;
}

export interface FetchedBody {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly contentType: string;
  /** Decompressed; valid until `take` is settled. */
  readonly body: Uint8Array;
  /** Body bytes received. */
  readonly wireBytes: number;
}

/** Port: gets one body. */
export interface Fetcher {
  /**
   * Fetches and hands the body of a 200 answer to `take`. When the headers are there `gateFor` says
   * which gate to pass; the body is received, decompressed and taken inside it. Rejects with a
   * CanopyError whose text is for people, or with what `take` throws.
   */
  fetch<T>(
    request: FetchRequest,
    gateFor: (contentType: string) => Gate,
    take: (answer: FetchedBody) => Promise<T>,
  ): Promise<T>;
}
