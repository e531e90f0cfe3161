/** A result as it is kept beside the code. */
import type { CanaryName } from './canaries.js';

export interface CanaryResult {
  readonly name: CanaryName;
  /** The checker that must see it; seeds that were tried, the last of which it saw. */
  readonly checker: string;
  readonly seeds: readonly number[];
  /** '' where nobody saw it. */
  readonly fault: string;
}

export interface RunTotals {
  readonly from: number;
  readonly seeds: number;
  readonly failed: readonly number[];
  readonly date: string;
  readonly seconds: number;
  readonly jobs: number;
  /** Of everything. */
  readonly counts: ReadonlyMap<string, number>;
}

export function resultText(totals: RunTotals, canaries: readonly CanaryResult[]): string {
  const { from, seeds, failed, date, seconds, jobs, counts } = totals;
  const verdict =
    failed.length === 0
      ? 'no violation.'
      : `${failed.length} OF THEM WITH VIOLATIONS: ${failed.join(' ')}.`;
  const rows = (map: ReadonlyMap<string, number>): string[] =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => `| ${what} | ${count} |`);
  return `${[
    '# Last full run of `npm run simulate`',
    '',
    `${date}: seeds ${from} to ${from + seeds - 1}, ${seeds} hierarchies, ${jobs} at once, ${seconds.toFixed(0)} s: ${verdict}`,
    '',
    'What was done and what was disturbed, in all of them together:',
    '',
    '| what | count |',
    '|---|---|',
    ...rows(counts),
    '',
    'Faults on purpose, each tried with seeds that pass without it until its checker saw it:',
    '',
    '| canary | checker | seeds | seen |',
    '|---|---|---|---|',
    ...canaries.map(
      ({ name, checker, seeds: tried, fault }) =>
        `| ${name} | ${checker} | ${tried.join(' ')} | ${fault === '' ? 'NO' : 'yes'} |`,
    ),
  ].join('\n')}\n`;
}
