/**
 * A proxy in front of exporters that gives every reader the same body for its n-th scrape: the first who
 * asks for the n-th body causes it to be fetched (or made), the others get what was recorded.
 */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import protobufjs from 'protobufjs';

export interface RecordedAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer;
}

/** Makes the answer to the n-th scrape, n from 0. */
export type AnswerSource = (n: number) => Promise<RecordedAnswer> | RecordedAnswer;

export const text = (body: string): RecordedAnswer => ({
  status: 200,
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  body,
});

export const openMetrics = (body: string): RecordedAnswer => ({
  status: 200,
  contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  body,
});

const MESSAGES = protobufjs
  .parse(`
  syntax = "proto3";
  message LabelPair { string name = 1; string value = 2; }
  message Single { double value = 1; }
  message Part { double bound = 1; double value = 2; }
  message Summary { uint64 sampleCount = 1; double sampleSum = 2; repeated Part quantile = 3; }
  message Bucket { uint64 cumulativeCount = 1; double upperBound = 2; }
  message Histogram { uint64 sampleCount = 1; double sampleSum = 2; repeated Bucket bucket = 3; }
  message Metric {
    repeated LabelPair label = 1; Single gauge = 2; Single counter = 3; Summary summary = 4; Single untyped = 5;
    int64 timestampMs = 6; Histogram histogram = 7;
  }
  message MetricFamily { string name = 1; string help = 2; int32 type = 3; repeated Metric metric = 4; }
`)
  .root.lookupType('MetricFamily');

/** A family of each classic type. */
export function protobuf(n: number): RecordedAnswer & { readonly body: Buffer } {
  const label = [{ name: 'a', value: 'é' }];
  const bucket = [
    { cumulativeCount: n, upperBound: 1 },
    { cumulativeCount: n + 1, upperBound: 2.5 },
  ];
  const quantile = [
    { bound: 0, value: n },
    { bound: 0.5, value: NaN },
  ];
  const families = [
    {
      name: 'c_total',
      help: 'C.',
      type: 0,
      metric: [{ counter: { value: n } }, { label, counter: { value: 2 } }],
    },
    { name: 'g', type: 1, metric: [{ label, gauge: { value: -n } }] },
    {
      name: 's',
      type: 2,
      metric: [{ summary: { sampleCount: n, sampleSum: n / 3, quantile } }, { label, summary: {} }],
    },
    {
      name: 'u',
      type: 3,
      metric: [{ untyped: { value: Infinity } }, { label, gauge: { value: 7 } }],
    },
    {
      name: 'h',
      type: 4,
      metric: [{ label, histogram: { sampleCount: n + 2, sampleSum: n / 7, bucket } }],
    },
    { name: 'empty', type: 1, metric: [] },
  ];
  return {
    status: 200,
    contentType: PROTOBUF,
    body: Buffer.concat(families.map((family) => MESSAGES.encodeDelimited(family).finish())),
  };
}

export const PROTOBUF =
  'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';

/** Fetches from a real exporter, always in the same format. */
export function fromExporter(url: string, accept = 'text/plain;version=0.0.4'): AnswerSource {
  return async () => {
    const response = await fetch(url, {
      headers: { accept },
      signal: AbortSignal.timeout(5000),
    });
    return {
      status: response.status,
      contentType: response.headers.get('content-type') ?? '',
      body: Buffer.from(await response.arrayBuffer()),
    };
  };
}

export class RecordingProxy {
  readonly #sources: ReadonlyMap<string, AnswerSource>;
  readonly #recorded = new Map<string, Array<Promise<RecordedAnswer>>>();
  readonly #scrapes = new Map<string, number>();
  readonly #server: Server;

  /** Sources by name; the name is the path `/<name>/metrics`. */
  constructor(sources: ReadonlyMap<string, AnswerSource>) {
    this.#sources = sources;
    this.#server = createServer((req, res) => {
      const name = (req.url ?? '').split('/')[1];
      const reader = /^[^/]+/.exec(req.headers['user-agent'] ?? '')?.[0] ?? '';
      const key = `${reader} ${name}`;
      const n = this.#scrapes.get(key) ?? 0;
      this.#scrapes.set(key, n + 1);
      this.#answer(name, n).then(
        ({ status, contentType, body }) => {
          res.writeHead(status, { 'content-type': contentType }).end(body);
        },
        (error: unknown) => res.writeHead(599).end(String(error)),
      );
    });
  }

  #answer(name: string, n: number): Promise<RecordedAnswer> {
    let recorded = this.#recorded.get(name);
    if (recorded === undefined) this.#recorded.set(name, (recorded = []));
    recorded[n] ??= Promise.resolve(this.#sources.get(name)!(n));
    return recorded[n];
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** The fewest scrapes any of `readers` has made of any source. */
  scrapesOf(readers: readonly string[]): number {
    let least = Number.POSITIVE_INFINITY;
    for (const reader of readers) {
      for (const name of this.#sources.keys()) {
        least = Math.min(least, this.#scrapes.get(`${reader} ${name}`) ?? 0);
      }
    }
    return least;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
