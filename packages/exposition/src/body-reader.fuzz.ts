import { FormatError, type Labels, formatLabels, labelsOf } from '@canopy/model';
import { expect, test } from 'vitest';
import { type BodyFormat, FullReader } from './body-reader.js';
import { OpenMetricsFormat } from './openmetrics-format.js';
import { ProtobufFormat } from './protobuf-format.js';
import { type Random, generator } from './testing/random.js';
import { WORST_BODIES } from './testing/worst-bodies.js';

const rounds = Number(process.env['CANOPY_FUZZ_ROUNDS'] ?? 400);
const seed = Number(process.env['CANOPY_FUZZ_SEED'] ?? 1);

function keyOf(labels: Labels): string {
  const pairs: Array<[string, string]> = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i], labels[i + 1]]);
  return formatLabels(labelsOf(pairs));
}

/** What a reader says of a body: samples by series, or the error. */
class Reading {
  readonly keys: string[] = [];
  readonly reader: FullReader;

  constructor(format: BodyFormat) {
    const slots = new Map<string, number>();
    const resolve = (labels: Labels): number => {
      const key = keyOf(labels);
      if (!slots.has(key)) slots.set(key, this.keys.push(key) - 1);
      return slots.get(key)!;
    };
    this.reader = new FullReader(
      { resolver: { resolve }, honorTimestamps: true, maxSeries: 5000 },
      format,
    );
  }

  of(body: Uint8Array): string[] | string {
    try {
      const c = this.reader.parse(body);
      const samples: string[] = [];
      for (let slot = 0; slot < c.slotCount; slot++) {
        if (c.states[slot] !== 0) samples.push(`${this.keys[slot]} ${c.values[slot]}`);
      }
      for (let i = 0; i < c.looseCount; i++) {
        samples.push(`${this.keys[c.looseSlots[i]]} ${c.looseValues[i]} ${c.looseTimes[i]}`);
      }
      return samples.sort();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return error.message;
    }
  }
}

/** A reader with a memory says of every body what a new one says. */
function checkMemory(
  make: () => BodyFormat,
  bodyOf: (random: Random) => Buffer,
  start: number,
): void {
  const random = generator(start);
  let refused = 0;
  let read = 0;
  for (let round = 0; round < rounds; round++) {
    const remembered = new Reading(make());
    for (let i = 0; i < 6; i++) {
      const body = bodyOf(random);
      const expected = new Reading(make()).of(body);
      expect(remembered.of(body), `seed ${seed} round ${round}`).toEqual(expected);
      if (typeof expected === 'string') refused++;
      else read++;
      if (random(5) === 0) remembered.reader.forget(random(3));
    }
  }
  // Both happen, or the run says nothing.
  expect(Math.min(refused, read)).toBeGreaterThan(rounds / 10);
}

const LINES = [
  '# TYPE a counter\n',
  '# HELP a x\\n\n',
  '# UNIT a_s s\n',
  'a 1\n',
  'a_total{b="c"} 2 1.5\n',
  'a_total{b="c"} 2 # {d="e"} 1 2\n',
  '{"a.b",c="d"} NaN\n',
  '# TYPE h histogram\n',
  // Spelt as they stay: elsewhere the first spelling of a text is remembered, as in Prometheus.
  'h_bucket{le="1.0"} 3\n',
  'h_bucket{le="+Inf"} 3 # {} 0.1\n',
  'a_created 1e9\n',
];
const END = Buffer.from('# EOF\n');
const NOISE = ['{', '}', '"', '\\', '\n', ' ', '#', ',', '=', '\0', 'é', 'a', '1', '.', '# EOF\n'];

function openMetricsBody(random: Random): Buffer {
  let text = '';
  for (let i = random(12); i > 0; i--) {
    const line = LINES[random(LINES.length)];
    text += random(3) === 0 ? line.replace(/ \d+/, ` ${random(1000)}`) : line;
  }
  text += '# EOF\n';
  if (random(2) === 0) {
    const at = random(text.length);
    text = text.slice(0, at) + NOISE[random(NOISE.length)] + text.slice(at + random(2));
  }
  return Buffer.from(text, random(10) === 0 ? 'latin1' : 'utf8');
}

const field = (number: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
const double = (number: number, value: number): Buffer => {
  const bytes = Buffer.alloc(9);
  bytes[0] = (number << 3) | 1;
  bytes.writeDoubleLE(value, 1);
  return bytes;
};

function family(random: Random): Buffer {
  const type = random(6);
  const labels = [];
  for (let i = random(3); i > 0; i--) {
    labels.push(
      field(1, Buffer.concat([field(1, Buffer.from('abc'[i])), field(2, Buffer.from('x'))])),
    );
  }
  const part = field(3, Buffer.concat([double(1, random(3)), double(2, random(3))]));
  const value = type === 2 || type > 3 ? Buffer.concat([part, part]) : double(1, random(9));
  const metric = field(4, Buffer.concat([...labels, field([3, 2, 4, 5, 7, 7][type], value)]));
  const name = field(1, Buffer.from('fgh'[random(3)]));
  const bytes = Buffer.concat([name, Buffer.from([0x18, type]), metric, metric]);
  return Buffer.concat([Buffer.from([(bytes.length & 0x7f) | 0x80, bytes.length >> 7]), bytes]);
}

function protobufBody(random: Random): Buffer {
  const bytes = Buffer.concat(Array.from({ length: 1 + random(3) }, () => family(random)));
  if (random(2) === 0) bytes[random(bytes.length)] = random(256);
  return bytes;
}

test('OpenMetrics: with or without memory, one reading', () => {
  checkMemory(() => new OpenMetricsFormat(), openMetricsBody, seed);
});

test.each(WORST_BODIES)('OpenMetrics, with or without memory: $name', ({ bodies }) => {
  const remembered = new Reading(new OpenMetricsFormat());
  for (const body of [...bodies, ...bodies]) {
    // As it is, and with the end that the format asks for.
    for (const bytes of [Buffer.from(body), Buffer.concat([Buffer.from(body), END])]) {
      expect(remembered.of(bytes)).toEqual(new Reading(new OpenMetricsFormat()).of(bytes));
    }
  }
});

test('protobuf: with or without memory, one reading', () => {
  checkMemory(() => new ProtobufFormat(), protobufBody, seed + 1);
});

test('any bytes give samples or a FormatError', () => {
  const random = generator(seed + 2);
  const formats = [new Reading(new OpenMetricsFormat()), new Reading(new ProtobufFormat())];
  for (let round = 0; round < rounds * 5; round++) {
    const bytes = Buffer.alloc(random(60));
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = random(3) === 0 ? random(256) : NOISE[random(NOISE.length)].charCodeAt(0);
    }
    for (const format of formats) format.of(bytes);
  }
});
