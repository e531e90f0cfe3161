import { FormatError, type Labels } from '@canopy/model';
import { expect, test } from 'vitest';
import { LineKind, LineReader } from './line-reader.js';
import { SeriesHash } from './series-hash.js';
import { SeriesReader } from './series-reader.js';
import { readSeries } from './series-text.js';
import { type Random, generator } from './testing/random.js';

const rounds = Number(process.env['CANOPY_FUZZ_ROUNDS'] ?? 400);
const seed = Number(process.env['CANOPY_FUZZ_SEED'] ?? 1);

const LABELS = [
  'a="1"',
  'a="12"',
  'a="13"',
  'b="x\\"y"',
  'b="é"',
  'c=""',
  'le="+Inf"',
  ' d = "z" ',
  '"e.f"="g"',
  '"q.name"',
  'a_long_label_name="and a value that is longer than what is kept of strings, by far"',
  'h="}"',
  'i="\n"',
];
const SEPARATORS = [',', ',', ',', ', ', ' ,', '', ',,'];
const NAMES = ['m', 'm', 'm1', 'metric:name_total', ' m', 'm ', ''];

function makeLine(random: Random): string {
  const labels: string[] = [];
  for (let i = random(6); i > 0; i--) {
    labels.push(LABELS[random(LABELS.length)], SEPARATORS[random(SEPARATORS.length)]);
  }
  const name = NAMES[random(NAMES.length)];
  return random(6) === 0 ? `${name} 1\n` : `${name}{${labels.join('')}} 1\n`;
}

/** The same line with something else towards its end, mostly: what the lexer takes a short way for. */
function mutated(line: string, random: Random): string {
  if (random(3) === 0) return makeLine(random);
  const at = line.length - 1 - random(Math.min(line.length - 1, random(3) === 0 ? 60 : 12));
  const put = ['', '1', 'x', '"', ',', '}', '{', ' ', '=', '\\', 'é', ',z="1"'][random(12)];
  return line.slice(0, at) + put + line.slice(at + random(2));
}

/** What a reader says of a line; errors without their place. */
function reading(reader: LineReader, start: number): unknown {
  try {
    const kind = reader.read(start);
    const { next, seriesStart, seriesEnd, valueStart, value, time } = reader;
    if (kind !== LineKind.sample) return [kind, next - start];
    const offsets = [next, seriesStart, seriesEnd, valueStart].map((offset) => offset - start);
    return [kind, ...offsets, value, time];
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return error.message.replace(/^line \d+: /, '');
  }
}

function labelsOrError(read: () => Labels): unknown {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return error.message;
  }
}

test('a line reads the same after others as by itself: offsets, labels, hash', () => {
  const random = generator(seed);
  const reader = new LineReader();
  const alone = new LineReader();
  const series = new SeriesReader();
  const hashes = new SeriesHash();
  const byText = new Map<string, number>();
  let goodLines = 0;
  for (let round = 0; round < rounds; round++) {
    let line = makeLine(random);
    const lines = Array.from({ length: 20 }, () => (line = mutated(line, random)));
    const body = new Uint8Array(Buffer.from(`${lines.join('')}\n`));
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    reader.open(body);
    series.open(body, view);
    hashes.reset();
    for (let p = 0; p < body.length; ) {
      alone.open(body);
      const expected = reading(alone, p);
      const found = reading(reader, p);
      expect(found, `seed ${seed} round ${round} ${lines.join('')}`).toEqual(expected);
      // After an error, the next line is where the reader would be sent by a caller that goes on.
      if (typeof found === 'string') {
        p = body.indexOf(10, p) + 1;
        continue;
      }
      p = reader.next;
      if (reader.seriesEnd <= reader.seriesStart || reader.next <= reader.seriesEnd) continue;
      if ((found as unknown[])[0] !== LineKind.sample) continue;
      goodLines++;
      const { seriesStart, seriesEnd, shared } = reader;
      expect(labelsOrError(() => series.read(seriesStart, seriesEnd))).toEqual(
        labelsOrError(() => readSeries(body, seriesStart, seriesEnd)),
      );
      const text = Buffer.from(body.subarray(seriesStart, seriesEnd)).toString('latin1');
      const hash = hashes.of(view, seriesStart, seriesEnd, shared);
      expect(hash, text).toBe(byText.get(text) ?? hash);
      byText.set(text, hash);
    }
  }
  expect(goodLines).toBeGreaterThan(rounds);
  // Texts that differ in little have different hashes.
  expect(new Set(byText.values()).size).toBeGreaterThan(byText.size * 0.999 - 1);
});
