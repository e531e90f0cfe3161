/**
 * Nanoseconds a sample from bytes to slot columns for the same samples in text 0.0.4 (read as a difference),
 * in OpenMetrics and in protobuf (read in full); interleaved, the shortest of many turns.
 * Run: npx tsx --conditions=canopy-source packages/exposition/bench/body-reader.bench.ts [lines]
 */
import { type Labels, labelsKey } from '@canopy/model';
import { type BodyReader, ScrapeParser, openMetricsReader, protobufReader } from '../src/index.js';
import type { ScrapeParserOptions } from '../src/scrape-parser.js';

const lines = Number(process.argv[2] ?? 10_000);
const turns = Math.max(5, Math.ceil(200_000 / lines));
const BODIES = 4;
const PER_FAMILY = 50;

interface Format {
  readonly name: string;
  readonly bodies: readonly Buffer[];
  readonly reader: (options: ScrapeParserOptions) => BodyReader;
}

const labelPairs = (i: number): Array<readonly [string, string]> => [
  ['method', 'GET'],
  ['handler', '/api/v1/query_range'],
  ['code', '200'],
  ['zone', 'eu-west-1a'],
  ['pod', `frontend-${i}`],
];
const valueOf = (i: number, round: number): number => i * 1000 + (i % 5 === 0 ? round : 0);

/** About 120 bytes a line, one value in five changed. */
function textBody(round: number, openMetrics: boolean): Buffer {
  const text: string[] = [];
  for (let i = 0; i < lines; i++) {
    const family = `http_requests_${Math.floor(i / PER_FAMILY)}`;
    const name = openMetrics ? family : `${family}_total`;
    if (i % PER_FAMILY === 0) text.push(`# HELP ${name} Requests.`, `# TYPE ${name} counter`);
    const labels = labelPairs(i).map(([label, value]) => `${label}="${value}"`);
    text.push(`${family}_total{${labels.join(',')}} ${valueOf(i, round)}`);
  }
  if (openMetrics) text.push('# EOF');
  return Buffer.from(`${text.join('\n')}\n`);
}

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)];
const field = (number: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, ...varint(bytes.length)]), bytes]);

function protobufBody(round: number): Buffer {
  const families: Buffer[] = [];
  for (let first = 0; first < lines; first += PER_FAMILY) {
    const parts = [
      field(1, Buffer.from(`http_requests_${first / PER_FAMILY}_total`)),
      field(2, Buffer.from('Requests.')),
    ];
    for (let i = first; i < Math.min(lines, first + PER_FAMILY); i++) {
      const labels = labelPairs(i).map(([name, value]) =>
        field(1, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(value))])),
      );
      const value = Buffer.alloc(9, 9);
      value.writeDoubleLE(valueOf(i, round), 1);
      parts.push(field(4, Buffer.concat([...labels, field(3, value)])));
    }
    const family = Buffer.concat(parts);
    families.push(Buffer.from(varint(family.length)), family);
  }
  return Buffer.concat(families);
}

const rounds = Array.from({ length: BODIES }, (_, round) => round);
const formats: readonly Format[] = [
  {
    name: 'text 0.0.4',
    bodies: rounds.map((round) => textBody(round, false)),
    reader: (options) => new ScrapeParser(options),
  },
  {
    name: 'OpenMetrics',
    bodies: rounds.map((round) => textBody(round, true)),
    reader: openMetricsReader,
  },
  { name: 'protobuf', bodies: rounds.map(protobufBody), reader: protobufReader },
];

function makeReader(format: Format): BodyReader {
  const slots = new Map<string, number>();
  const resolve = (labels: Labels): number => {
    const key = labelsKey(labels);
    const slot = slots.get(key) ?? slots.size;
    slots.set(key, slot);
    return slot;
  };
  return format.reader({ resolver: { resolve }, honorTimestamps: true, maxSeries: 1_000_000 });
}

const best = new Map(formats.map(({ name }) => [name, { first: Infinity, again: Infinity }]));
for (let turn = 0; turn < turns; turn++) {
  for (const format of formats) {
    const times = best.get(format.name)!;
    const reader = makeReader(format);
    const started = performance.now();
    reader.parse(format.bodies[0]);
    times.first = Math.min(times.first, performance.now() - started);
    for (let round = 1; round <= 2 * BODIES; round++) {
      const before = performance.now();
      reader.parse(format.bodies[round % BODIES]);
      times.again = Math.min(times.again, performance.now() - before);
    }
  }
}
console.log(`${lines} samples, one value in five changed; ns a sample`);
for (const { name, bodies } of formats) {
  const { first, again } = best.get(name)!;
  const text = best.get('text 0.0.4')!;
  const ns = (ms: number): string => ((ms * 1e6) / lines).toFixed(0).padStart(6);
  console.log(
    `${name.padEnd(12)} ${(bodies[0].length / lines).toFixed(0)} bytes a sample, repeated ${ns(again)} ` +
      `(${(again / text.again).toFixed(1)} × text), first ${ns(first)} (${(first / text.first).toFixed(1)} × text)`,
  );
}
