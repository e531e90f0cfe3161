import { expect, it } from 'vitest';
import { type Ledger, PendingGaps, emptyLedger, parseLedger } from './hierarchy.js';
import type { GapRecord } from './journal.js';
import { asTime } from './units.js';

const gap = (from: number, to: number): GapRecord => ({
  ...{ group: 0, from: asTime(from), to: asTime(to) },
  ...{ cause: 'corrupt', frames: 1 },
});

it('reads a ledger of any version, and names one that cannot be read', () => {
  const check = (text: string, expected: Partial<Ledger>) =>
    expect(parseLedger(text), text).toEqual({ ...emptyLedger(), ...expected });
  check('', {});
  check('{"frames":3}', { frames: 3 });
  const named = { gaps: [{ ...gap(0, 0), frames: -1 }], gapsTotal: 1, gapsByCause: { corrupt: 1 } };
  check('{"frames":3,"gaps":[}', named);
});

it('names a gap once, whatever neighbours it was read with', () => {
  const pending = new PendingGaps();
  for (const found of [gap(1000, 2000), gap(1500, 1501), gap(5000, 6000)]) pending.add(found);
  const ledger = emptyLedger();
  pending.nameIn(ledger);
  pending.nameIn(ledger);
  expect(ledger.gaps).toEqual([gap(1000, 2000), gap(5000, 6000)]);
  pending.forget(ledger);
  const next = emptyLedger();
  pending.nameIn(next);
  expect(next.gaps).toEqual([]);
});
