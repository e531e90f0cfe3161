/** Any bytes are families or a CanopyError, in time that grows with their number. */
import { CanopyError } from '@canopy/model';
import { expect, test } from 'vitest';
import { readMetricsText } from './metrics-text.js';

const PIECES = [
  ...[
    'x',
    'h_bucket',
    'h_sum',
    '# TYPE ',
    '# HELP ',
    'h histogram\n',
    'q summary\n',
    '{',
    '}',
    ',',
  ],
  ...[
    'le="1"',
    'quantile="x"',
    'a="b"',
    '"',
    '=',
    '\\',
    '\n',
    '\n',
    ' ',
    '\t',
    '1',
    'NaN',
    '-',
    '\0',
  ],
];

function rounds(count: number, seed: number): void {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >> 8) % below;
  };
  for (let round = 0; round < count; round++) {
    const parts = Array.from({ length: random(40) }, () =>
      random(10) === 0 ? Buffer.from([random(256)]) : Buffer.from(PIECES[random(PIECES.length)]),
    );
    const body = Buffer.concat(parts);
    try {
      for (const family of readMetricsText(body).values())
        expect(family.samples).toBeGreaterThan(0);
    } catch (error) {
      expect(error, `seed ${seed}, round ${round}`).toBeInstanceOf(CanopyError);
    }
  }
}

test('any bytes', () => {
  const { CANOPY_FUZZ_ROUNDS: count = '2000', CANOPY_FUZZ_SEED: seed = '1' } = process.env;
  rounds(Number(count), Number(seed));
});

test('long texts take time in proportion', () => {
  const long = (piece: string) => Buffer.from(piece.repeat(1 << 20));
  for (const piece of ['x', '{', '"', '\\', '# ', 'x 1\n', 'x{a="b",', '\n', ' ']) {
    const started = performance.now();
    try {
      readMetricsText(long(piece));
    } catch (error) {
      expect(error).toBeInstanceOf(CanopyError);
    }
    expect(performance.now() - started, piece).toBeLessThan(5000);
  }
});
