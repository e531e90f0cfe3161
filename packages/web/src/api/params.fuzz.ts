import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseDurationText, parseTime } from './params.js';
import { unescapeName } from './series.js';

const numRuns = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300);

it('any text is a safe integer of milliseconds or nothing', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789.-+eTZ:ymdhs ') });
  fc.assert(
    fc.property(fc.oneof(digits, fc.string()), (text) => {
      for (const read of [parseTime(text), parseDurationText(text)]) {
        expect(read === undefined || Number.isSafeInteger(read)).toBe(true);
      }
    }),
    { numRuns },
  );
});

it('unescaping undoes escaping, and leaves the rest alone', () => {
  const escape = (name: string): string =>
    `U__${[...name]
      .map((c) => (c === '_' ? '__' : /[a-zA-Z0-9:]/.test(c) ? c : `_${hex(c)}_`))
      .join('')}`;
  const hex = (c: string): string => c.codePointAt(0)!.toString(16);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      expect(unescapeName(escape(name))).toBe(name);
      if (!name.startsWith('U__')) expect(unescapeName(name)).toBe(name);
    }),
    { numRuns },
  );
});
