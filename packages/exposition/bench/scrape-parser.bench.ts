/**
 * Nanoseconds a sample from bytes to slot columns: a first scrape, and repeated ones with one value in five
 * changed, beside the plain way (split into lines, a Map from series text to slot, Number()).
 * Run: npx tsx --conditions=canopy-source packages/exposition/bench/scrape-parser.bench.ts [lines]
 */
import { type Labels, labelsKey } from '@canopy/model';
import { ScrapeParser } from '../src/index.js';

const lines = Number(process.argv[2] ?? 10_000);
const rounds = Math.max(5, Math.ceil(400_000 / lines));

/** About 120 bytes a line; in body `round`, a fifth of the values differ from the body before. */
function makeBody(round: number, inserted: boolean): Buffer {
  const text: string[] = [];
  for (let i = 0; i < lines; i++) {
    if (i % 50 === 0) {
      text.push(`# HELP http_requests_${i / 50}_total Requests served.`);
      text.push(`# TYPE http_requests_${i / 50}_total counter`);
    }
    const changes = i % 5 === 0 ? round : 0;
    const value = i % 3 === 0 ? (i * 1000 + changes) / 1000 : i * 1000 + changes;
    text.push(
      `http_requests_${Math.floor(i / 50)}_total{method="GET",handler="/api/v1/query_range",code="200",` +
        `zone="eu-west-1a",pod="frontend-${i}"} ${value}`,
    );
    if (inserted && i === lines >> 1) text.push('one_more_series{a="b"} 1');
  }
  return Buffer.from(`${text.join('\n')}\n`);
}

function makeParser(): ScrapeParser {
  const slots = new Map<string, number>();
  const resolve = (labels: Labels): number => {
    const key = labelsKey(labels);
    let slot = slots.get(key);
    if (slot === undefined) slots.set(key, (slot = slots.size));
    return slot;
  };
  return new ScrapeParser({ resolver: { resolve }, honorTimestamps: true, maxSeries: 1_000_000 });
}

/** The rival: what one writes first. */
function makePlain(): (body: Buffer) => number {
  const slots = new Map<string, number>();
  const values = new Float64Array(lines + 1);
  return (body) => {
    for (const line of body.toString('utf8').split('\n')) {
      if (line === '' || line.startsWith('#')) continue;
      const at = line.lastIndexOf(' ');
      const series = line.slice(0, at);
      let slot = slots.get(series);
      if (slot === undefined) slots.set(series, (slot = slots.size));
      values[slot] = Number(line.slice(at + 1));
    }
    return slots.size;
  };
}

function best(repeat: number, run: (round: number) => void): number {
  let shortest = Infinity;
  for (let round = 0; round < repeat; round++) {
    const start = performance.now();
    run(round);
    shortest = Math.min(shortest, performance.now() - start);
  }
  return (shortest * 1e6) / lines;
}

const bodies = Array.from({ length: 8 }, (_, round) => makeBody(round, false));
const shifted = Array.from({ length: 8 }, (_, round) => makeBody(round, round % 2 === 1));
console.log(
  `${lines} lines of ${(bodies[0].length / lines).toFixed(0)} bytes, ns a sample, best of ${rounds}`,
);
const first = best(rounds, () => makeParser().parse(bodies[0]));
const parser = makeParser();
const plain = makePlain();
let repeated = Infinity;
let rival = Infinity;
for (let turn = 0; turn < 5; turn++) {
  repeated = Math.min(
    repeated,
    best(rounds, (round) => parser.parse(bodies[round % 8])),
  );
  rival = Math.min(
    rival,
    best(Math.ceil(rounds / 4), (round) => plain(bodies[round % 8])),
  );
}
const unchanged = best(rounds, () => parser.parse(bodies[0]));
const other = makeParser();
const moving = best(rounds, (round) => other.parse(shifted[round % 8]));
const row = (name: string, ns: number): void => {
  console.log(
    `${name.padEnd(44)} ${ns.toFixed(1).padStart(8)}   ${(rival / ns).toFixed(1)}× plain`,
  );
};
row('first scrape', first);
row('repeated, 20 % of values changed', repeated);
row('repeated, a line comes or goes each time', moving);
row('repeated, nothing changed', unchanged);
row('plain: split, Map, Number()', rival);
