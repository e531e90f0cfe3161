/**
 * A farm of exporters in one process, for benchmarks: every path `/metrics?target=N` is an exporter with `series` series
 * of which a share changes from scrape to scrape. Bodies are made before they are asked for, so that
 * making them does not disturb what is measured. `node farm.js PORT SERIES CHANGED [identity|gzip]`; readers that
 * do not take gzip get bodies as they are.
 */
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

const [port, series, changed] = process.argv.slice(2).map(Number);
const isGzip = process.argv[5] === 'gzip';
const BODIES = 64;

/** Uniform in [0, 1), the same sequence each time (mulberry32). */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Bodies that follow one another in a circle: which series change, and by how much, is by chance. */
function makeBodies(): Buffer[] {
  const random = makeRandom(1);
  const values = Array.from({ length: series }, () => Math.floor(random() * 100_000));
  return Array.from({ length: BODIES }, () => {
    const lines: string[] = [];
    for (let i = 0; i < series; i++) {
      if (i % 100 === 0) {
        lines.push(`# HELP farm_metric_${i / 100}_total Things that were counted.`);
        lines.push(`# TYPE farm_metric_${i / 100}_total counter`);
      }
      if (random() < changed) values[i] += 1 + Math.floor(random() * 1000);
      const labels = `path="/api/v1/resource/${i % 100}",method="GET",code="200",zone="zone-${i % 3}"`;
      lines.push(`farm_metric_${Math.floor(i / 100)}_total{${labels}} ${values[i]}`);
    }
    return Buffer.from(`${lines.join('\n')}\n`);
  });
}

const bodies = makeBodies();
const packed = isGzip ? bodies.map((body) => gzipSync(body)) : bodies;
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
