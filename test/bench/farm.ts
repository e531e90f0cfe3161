/**
 * A farm of exporters in one process, for benchmarks: every path `/metrics?target=N` is an exporter with `series` series
 * of which a share changes from scrape to scrape. Bodies are made before they are asked for, so that
 * making them does not disturb what is measured. `node farm.js PORT SERIES CHANGED [identity|gzip]`; readers that
 * do not take gzip get bodies as they are.
 */
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';
import { farmBodies } from './farm-bodies.js';

const [port, series, changed] = process.argv.slice(2).map(Number);
const isGzip = process.argv[5] === 'gzip';
const BODIES = 64;

/** They follow one another in a circle. */
const bodies = Array.from(take(farmBodies(series, changed), BODIES));
const packed = isGzip ? bodies.map((body) => gzipSync(body)) : bodies;

function* take<T>(items: Iterable<T>, count: number): Generator<T> {
  for (const item of items) {
    if (count-- === 0) return;
    yield item;
  }
}

const scrapes = new Map<string, number>();

createServer((req, res) => {
  // Each reader and target has a count of its own, so that two servers see the same sequence, and
  // targets are at different places of it.
  const key = `${req.headers['user-agent']} ${req.url}`;
  const count = scrapes.get(key) ?? req.url!.length * 7 + Number(/\d+$/.exec(req.url!)?.[0] ?? 0);
  scrapes.set(key, count + 1);
  res.setHeader('content-type', 'text/plain; version=0.0.4');
  const packs = isGzip && /\bgzip\b/.test(String(req.headers['accept-encoding']));
  if (packs) res.setHeader('content-encoding', 'gzip');
  res.end((packs ? packed : bodies)[count % BODIES]);
}).listen(port, '127.0.0.1');
