/**
 * Nanoseconds a sample from bytes to slot columns, with the WebAssembly kernel, with its TypeScript twin, and
 * the plain way (split into lines, a Map from series text to slot, Number()); interleaved, the
 * shortest of many turns.
 * Run: npx tsx --conditions=canopy-source packages/exposition/bench/scrape-parser.bench.ts [lines]
 */
import { type Labels, labelsKey } from '@canopy/model';
import { ScrapeParser, type SeriesResolver, parseKernel } from '../src/index.js';
import { TwinWalker } from '../src/walker-twin.js';

const lines = Number(process.argv[2] ?? 10_000);
const turns = Math.max(5, Math.ceil(200_000 / lines));
const BODIES = 8;

interface Shape {
  /** One value in so many differs from the body before. */
  readonly changedOf: number;
  /** Values as sums of durations have them: 16 digits or more. */
  readonly long?: boolean;
  /** A line that every second body has. */
  readonly inserted?: boolean;
  /** Every n-th line is another series in each body. */
  readonly newOf?: number;
  /** Lines in another order in each body. */
  readonly shuffled?: boolean;
}

/** About 120 bytes a line. */
function makeBody(round: number, shape: Shape): Buffer {
  const text: string[] = [];
  for (let i = 0; i < lines; i++) {
    if (i % 50 === 0) {
      text.push(`# HELP http_requests_${i / 50}_total Requests served.`);
      text.push(`# TYPE http_requests_${i / 50}_total counter`);
    }
    const changes = i % shape.changedOf === 0 ? round : 0;
    const whole = i * 1000 + changes;
    const value = shape.long === true ? whole / 7e6 : i % 3 === 0 ? whole / 1000 : whole;
    const isNew = shape.newOf !== undefined && i % shape.newOf === 0;
    text.push(
      `http_requests_${Math.floor(i / 50)}_total{method="GET",handler="/api/v1/query_range",code="200",` +
        `zone="eu-west-1a",pod="frontend-${isNew ? round * lines : ''}${i}"} ${value}`,
    );
    if (shape.inserted === true && round % 2 === 1 && i === lines >> 1) {
      text.push('one_more_series{a="b"} 1');
    }
  }
  if (shape.shuffled === true) {
    // A fixed permutation each round: steps of a size that has no divisor in common with the count.
    const step = [7919, 104_729, 1_299_709][round % 3];
    const before = [...text];
    for (let i = 0; i < text.length; i++) text[i] = before[(i * step) % text.length];
  }
  return Buffer.from(`${text.join('\n')}\n`);
}

/** Numbers label sets, as a scrape loop does. */
function labelSets(): SeriesResolver {
  const slots = new Map<string, number>();
  const resolve = (labels: Labels): number => {
    const key = labelsKey(labels);
    let slot = slots.get(key);
    if (slot === undefined) slots.set(key, (slot = slots.size));
    return slot;
  };
  return { resolve };
}

/** Numbers texts: the parser's own cost. */
function counter(): SeriesResolver {
  let slot = 0;
  return { resolve: () => slot++ };
}

const OPTIONS = { honorTimestamps: true, maxSeries: 1_000_000 };
const twin = new TwinWalker();
const byKernel = (resolver: SeriesResolver): ScrapeParser =>
  new ScrapeParser({ ...OPTIONS, resolver });
const byTwin = (resolver: SeriesResolver): ScrapeParser =>
  new ScrapeParser({ ...OPTIONS, resolver, walker: twin });

/** The rival: what one writes first. */
function makePlain(): (body: Buffer) => number {
  const slots = new Map<string, number>();
  const values: number[] = [];
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

type Way = (round: number) => void;

/** Bodies a way reads when it is its turn: the first ones after another way's garbage are not the shortest. */
const BODIES_A_TURN = 4;

/** Shortest body of each way, ns a sample, the ways taking turns. */
function best(turnCount: number, ways: readonly Way[]): number[] {
  const shortest = ways.map(() => Infinity);
  for (let turn = 0; turn < turnCount; turn++) {
    ways.forEach((way, i) => {
      for (let body = 0; body < BODIES_A_TURN; body++) {
        const start = performance.now();
        way(turn * BODIES_A_TURN + body);
        shortest[i] = Math.min(shortest[i], performance.now() - start);
      }
    });
  }
  return shortest.map((ms) => (ms * 1e6) / lines);
}

function report(name: string, [kernel, twinNs, plain]: readonly number[]): void {
  const cells = [kernel, twinNs, plain].map((ns) => ns.toFixed(1).padStart(9)).join('');
  const ratios = `${(twinNs / kernel).toFixed(1)}× twin, ${(plain / kernel).toFixed(1)}× plain`;
  console.log(`${name.padEnd(46)}${cells}   ${ratios}`);
}

function repeated(name: string, shape: Shape): void {
  const bodies = Array.from({ length: BODIES }, (_, round) => makeBody(round, shape));
  const kernel = byKernel(labelSets());
  const typescript = byTwin(labelSets());
  const plain = makePlain();
  const ways = [
    (round: number) => void kernel.parse(bodies[round % BODIES]),
    (round: number) => void typescript.parse(bodies[round % BODIES]),
    (round: number) => void plain(bodies[round % BODIES]),
  ];
  report(name, best(turns, ways));
}

const first = makeBody(0, { changedOf: 5 });
console.log(
  `${lines} lines of ${(first.length / lines).toFixed(0)} bytes, kernel: ${parseKernel().kernel}; ` +
    `ns a sample, shortest of ${turns} turns`,
);
console.log(`${''.padEnd(46)}${'kernel'.padStart(9)}${'twin'.padStart(9)}${'plain'.padStart(9)}`);
repeated('repeated, nothing changed', { changedOf: Infinity });
repeated('repeated, 20 % of values changed', { changedOf: 5 });
repeated('repeated, all values changed', { changedOf: 1 });
repeated('repeated, 20 % changed, of 16 digits', { changedOf: 5, long: true });
repeated('repeated, 20 % changed, a line comes or goes', { changedOf: 5, inserted: true });
repeated('repeated, 20 % changed, 2 % new series', { changedOf: 5, newOf: 50 });
repeated('repeated, 20 % changed, lines shuffled', { changedOf: 5, shuffled: true });
const firstWays = (resolver: () => SeriesResolver): Way[] => [
  () => void byKernel(resolver()).parse(first),
  () => void byTwin(resolver()).parse(first),
  () => void makePlain()(first),
];
report('first, series numbered', best(turns, firstWays(counter)));
report('first, label sets in a Map', best(turns, firstWays(labelSets)));
