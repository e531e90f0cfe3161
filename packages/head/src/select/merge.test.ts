import { expect, it } from 'vitest';
import { type OriginColumn, mergeOrigins } from './merge.js';

/** `10 20s 30` and so on: times that are their own values, `s` a stale mark, `n` no sample. */
function column(text: string, first: number, open = false): OriginColumn {
  const entries = text.split(' ').filter((part) => part !== '');
  return {
    times: Float64Array.from(entries, (entry) => Number.parseInt(entry)),
    values: Float64Array.from(entries, (entry) => Number.parseInt(entry) * first),
    states: Uint8Array.from(entries, (entry) =>
      entry.endsWith('s') ? 2 : entry.endsWith('n') ? 0 : 1,
    ),
    runBreak: 20,
    open,
  };
}

it('shows one origin at a time', () => {
  /** A `!` after an origin: it may go on. Values of the first are positive, of the second negative. */
  const check = (a: string, b: string, expected: string, hidden = 0) => {
    const columns = [a, b].map((text, i) =>
      column(text.replace('!', ''), i === 0 ? 1 : -1, text.endsWith('!')),
    );
    const newest = Math.max(...columns.map(({ times }) => times.at(-1) ?? 0));
    const merged = mergeOrigins(columns, newest);
    const shown = Array.from(merged.times, (time, i) => {
      const state = merged.states === null ? 1 : merged.states[i];
      return state === 2 ? `${time}s` : merged.values[i] === time ? `a${time}` : `b${time}`;
    });
    expect(shown.join(' '), `${a} | ${b}`).toBe(expected);
    expect(merged.hidden).toBe(hidden);
  };
  check('10 20', '30 40', 'a10 a20 b30 b40'); // moved from one leaf to the other
  check('10 20s', '30 40', 'a10 20s b30 b40'); // with a pause
  check('10 20 30 40', '15 25 35', 'a10 a20 a30 a40', 3); // scraped by two
  check('10 20 30s', '15 25 35', 'a10 a20 b25 b35', 1); // a stale mark ends its own origin only
  check('10 20 30s', '15 25s', 'a10 a20 25s 30s', 1);
  check('10 20 30s', '15 30s', 'a10 a20 30s', 1); // one mark is enough
  check('10 20 50 60', '15 25 35 45 55', 'a10 a20 b25 b35 b45 a50 a60', 2); // a silence ends a run
  check('10 20!', '15 25', 'a10 a20', 2); // late, not gone
  check('10 20!', '15 25 41', 'a10 a20 b25 b41', 1); // gone after all
  check('10 20', '15 20 25', 'a10 a20 b25', 2); // never a time twice
  check('10 20n 30', '15 25', 'a10 a30', 2); // no sample is no end
  check('10', '10', 'a10', 1);
  check('', '10 20', 'b10 b20');
  check('', '', '');
});
