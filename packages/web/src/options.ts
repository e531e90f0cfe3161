/**
 * What the HTTP surface needs from the process it stands in front of. Every function is called
 * per request and must not block.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  Clock,
  Completeness,
  DurationMs,
  HierarchyStatus,
  JournalRef,
  Matcher,
  QueryEngine,
  QueryRead,
  Queryable,
  SeriesOrigins,
  TargetsView,
  TimeRange,
} from '@canopy/model';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface WebOptions {
  readonly role: 'leaf' | 'parent';
  readonly clock: Clock;
  /** Canopy's own version. */
  readonly version: string;
  /** The Prometheus version whose API this is; clients such as Grafana choose features by it. */
  readonly prometheusVersion: string;
  readonly engine: QueryEngine;
  readonly queryable: Queryable;
  /** What queries with `complete=true` hold to. */
  complete(reads: readonly QueryRead[]): Promise<Completeness>;
  /** Whether queries hold to that unless they say `complete=false`. */
  readonly completeByDefault: boolean;
  /** As HeadSnapshot's `origins`, of a fresh snapshot. */
  origins(
    matcherSets: ReadonlyArray<readonly Matcher[]>,
    range: TimeRange,
    limit: number,
  ): Promise<readonly SeriesOrigins[] | undefined>;
  /** Processes on the way of a journal, the one that writes it first, this one last. */
  pathOf(ref: JournalRef): readonly string[];
  readonly targets: TargetsView;
  hierarchy(): HierarchyStatus;
  /** The configuration as YAML, secrets masked already. */
  configText(): string;
  /** How the last attempt to read the configuration went; without it: well, at the start. */
  configState?(): { readonly successful: boolean; readonly successTime: number };
  /**
   * `POST /-/reload` and `/-/quit`; null or absent: refused with 403. `reload` throws what is
   * wrong with the new configuration.
   */
  readonly lifecycle?: { reload(): void; quit(): void } | null;
  /** `/api/v1/admin/tsdb/*`; null or absent: refused. */
  readonly admin?: Admin | null;
  /** Command-line flags by name, without the dashes, secrets masked already. */
  flags(): Readonly<Record<string, string>>;
  /** Whether queries can be answered; `reason` is for people: why not, or what else is going on. */
  ready(): { readonly ready: boolean; readonly reason: string };
  /** The process's own metrics. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Answers `/federate` (text or frames) completely, its own compression included. */
  federate(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void>;
  /**
   * Answers `POST` and `DELETE` of `/api/v1/canopy/leaves`, reading the body itself; null where leaves cannot announce
   * themselves (a leaf). Called only for bodies declared as JSON.
   */
  readonly register: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | null;
  /** Answers `POST /api/v1/write`, reading the body itself; null where remote write is not enabled. */
  readonly remoteWrite: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | null;
  log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void;
  /** Largest form body of a query; a larger one is refused with 413. */
  readonly bodyBytesMax: number;
  /** How far back "now" reaches: what counts as present in `/api/v1/targets/metadata`. */
  readonly lookback: DurationMs;
  /** Whether pages of this origin may read the API from a browser. */
  corsOrigin(origin: string): boolean;
}

export interface Admin {
  /** Copies all data beside it; resolves with the name of the copy. */
  snapshot(): Promise<string>;
  /** Hides samples of matching series; selectors are checked, times inclusive. */
  deleteSeries(selectors: readonly string[], start: number, end: number): Promise<void>;
  cleanTombstones(): Promise<void>;
}

/** Requests answered on one route. Durations in seconds, from first byte to last. */
export interface RouteTotals {
  /** By HTTP status code. */
  readonly requests: Record<string, number>;
  seconds: number;
}

export interface WebTotals {
  /** By route pattern (`/api/v1/label/:name/values`); as many as there are routes. */
  readonly routes: Record<string, RouteTotals>;
  /** Answers cut off because the client went away or writing failed. */
  aborted: number;
}

/** A request listener for an HTTP server, and what it counts. */
export interface Web {
  (req: IncomingMessage, res: ServerResponse): void;
  readonly totals: WebTotals;
  /** What the server is to make requests and answers of; others are taken, and cost more. */
  readonly messages: {
    readonly IncomingMessage: typeof IncomingMessage;
    readonly ServerResponse: typeof ServerResponse;
  };
}
