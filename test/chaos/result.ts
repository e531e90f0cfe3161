/** A result as it is kept beside the code. */
import type { ChaosOptions, ChaosResult } from './chaos.js';

export function resultText(options: ChaosOptions, result: ChaosResult): string {
  const { faults, results, rounds, counts, seconds } = result;
  const rows = results.map(({ name, says, tally, seconds: lasted, faults: own }) => {
    const { checks, scrapes, samples, ends, gaps, lostBeforeKillMs } = tally;
    const counts = [checks, scrapes, samples, ends, gaps, lostBeforeKillMs, own.length];
    return `| ${[name, says, lasted.toFixed(0), ...counts].join(' | ')} |`;
  });
  const words = (name: string): string =>
    name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const all = { rounds, ...counts };
  return `${[
    '# Last full run of `npm run chaos`',
    '',
    `${options.form === 'long' ? 'Long' : 'Short'} forms, seed ${options.seed}, stores ${options.stores.join(' and ')}, ${seconds.toFixed(0)} s: ${faults.length === 0 ? 'no fault' : `${faults.length} FAULTS`}.`,
    '',
    '| scenario | what happens | s | checks | scrapes | samples | ends | gaps | lost before a kill, at most, ms | faults |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
    'Scrapes are those of the leaves that were compared with what the exporter answered, samples those that the parents answered, ends those of series in the journals. What was disturbed:',
    '',
    '| what | count |',
    '|---|---|',
    ...Object.entries(all).map(([name, count]) => `| ${words(name)} | ${count} |`),
    ...(faults.length === 0 ? [] : ['', ...faults.map((fault) => `- ${fault.split('\n')[0]}`)]),
  ].join('\n')}\n`;
}
