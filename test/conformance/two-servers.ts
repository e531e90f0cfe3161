/** A real Prometheus and a parent that hold the same samples, both given by remote write. */
import { compressSync } from 'snappy';
import { WriteRequest1 } from '../../packages/federation/src/testing/write-messages.js';
import { type Program, type Site, freePort, waitReady } from '../processes.js';
import { type DemoSeries, STALE } from './demo-data.js';

/** In the configuration of both: samples may come in any order. */
const CONFIG = 'storage: {tsdb: {out_of_order_time_window: 10y}}\n';
const SERIES_A_REQUEST = 20;

export interface Server {
  readonly name: 'prometheus' | 'canopy';
  readonly url: string;
  readonly program: Program;
}

export async function startBoth(site: Site): Promise<[prometheus: Server, canopy: Server]> {
  const config = site.file('any-order.yml', CONFIG);
  const [one, other] = [await freePort(), await freePort()];
  const prometheus = site.program(
    'prometheus',
    ...(['prometheus', `--config.file=${config}`, '--web.enable-remote-write-receiver'] as const),
    ...['--storage.tsdb.retention.time=100y', '--log.level=warn'],
    ...['--enable-feature=promql-per-step-stats', '--web.enable-admin-api'],
    ...[`--storage.tsdb.path=${site.path('tsdb')}`, `--web.listen-address=127.0.0.1:${one}`],
  );
  const canopy = site.canopy(
    'canopy',
    ...['parent', '--config.file', config, '--web.enable-remote-write-receiver'],
    '--web.enable-admin-api',
    ...['--enable-feature', 'promql-per-step-stats', '--retention.raw', '0'],
    ...['--storage.path', site.path('canopy')],
    ...['--web.listen-address', `127.0.0.1:${other}`],
  );
  const servers: [Server, Server] = [
    { name: 'prometheus', url: `http://127.0.0.1:${one}`, program: prometheus },
    { name: 'canopy', url: `http://127.0.0.1:${other}`, program: canopy },
  ];
  for (const { url } of servers) await waitReady(url, 60_000);
  return servers;
}

/** Sends the same requests to all. */
export async function load(
  servers: readonly Server[],
  series: readonly DemoSeries[],
): Promise<void> {
  for (let from = 0; from < series.length; from += SERIES_A_REQUEST) {
    const body = compressSync(encoded(series.slice(from, from + SERIES_A_REQUEST)));
    for (const { name, url } of servers) {
      const response = await fetch(`${url}/api/v1/write`, {
        method: 'POST',
        body: body as Buffer<ArrayBuffer>,
        headers: {
          'content-type': 'application/x-protobuf',
          'content-encoding': 'snappy',
          'x-prometheus-remote-write-version': '0.1.0',
        },
      });
      if (response.status !== 204) {
        throw new Error(`${name} answered ${response.status}: ${await response.text()}`);
      }
    }
  }
}

function encoded(series: readonly DemoSeries[]): Buffer {
  const message = WriteRequest1.fromObject({
    timeseries: series.map(({ labels, times, values }) => ({
      labels: Object.entries(labels)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => ({ name, value })),
      samples: times.map((timestamp, i) => ({
        timestamp,
        value: values[i] === STALE ? STALE_STAND_IN : values[i],
      })),
    })),
  });
  return withStaleMarks(Buffer.from(WriteRequest1.encode(message).finish()));
}

/** The library makes every NaN the same; this value's bits become those of the stale mark. */
const STALE_STAND_IN = -1.234567890123456e-300;
const STAND_IN_BYTES = Buffer.from(new Float64Array([STALE_STAND_IN]).buffer);

function withStaleMarks(bytes: Buffer): Buffer {
  for (let at = bytes.indexOf(STAND_IN_BYTES); at >= 0; at = bytes.indexOf(STAND_IN_BYTES, at)) {
    bytes.writeBigUInt64LE(0x7ff0000000000002n, at);
  }
  return bytes;
}
