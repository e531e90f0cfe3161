/** `/api/v1/status/ledger`: what became of every scrape, journal by journal. */
import { type JournalReport, ledgerReport } from '@canopy/model';
import type { Answer } from './answer.js';
import type { Call } from './call.js';
import { type JsonOutput, writeArray } from './json-output.js';

/** `gaps=N` lists at most the newest N gaps of each journal (`gapsTotal` counts them all). */
export function ledger({ params, options }: Call): Answer {
  const gapsMax = params.text('gaps') === '' ? Number.POSITIVE_INFINITY : params.limit('gaps');
  const { journals, ...own } = ledgerReport(options.hierarchy());
  const data = async (out: JsonOutput): Promise<void> => {
    out.write(`${JSON.stringify(own).slice(0, -1)},"journals":`);
    await writeArray(out, journals, (journal) =>
      out.write(JSON.stringify(withFewerGaps(journal, gapsMax))),
    );
    out.write('}');
  };
  return { data };
}

function withFewerGaps(journal: JournalReport, gapsMax: number): JournalReport {
  const { gaps } = journal;
  if (gaps.length <= gapsMax) return journal;
  return { ...journal, gaps: gapsMax === 0 ? [] : gaps.slice(-gapsMax) };
}
