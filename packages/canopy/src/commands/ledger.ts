/**
 * `canopy ledger`: what became of every scrape, job by job, as a process and its sources counted it.
 */
import type { Writable } from 'node:stream';
import {
  CanopyError,
  type JobReport,
  type JournalReport,
  type LedgerReport,
  type LossySource,
  errorText,
} from '@canopy/model';
import { askApi, printable, table } from './query.js';

const GAPS_ASKED = 0;

export interface LedgerCommand {
  readonly url: string;
  readonly httpConfigFile?: string;
  readonly stdout: Writable;
  readonly stderr?: Writable;
}

/** @returns 0 where every frame is accounted for, 1 where one is not or there is no answer. */
export async function runLedger(command: LedgerCommand): Promise<number> {
  const { url, httpConfigFile, stdout, stderr = process.stderr } = command;
  try {
    const gaps = { gaps: String(GAPS_ASKED) };
    const { data } = await askApi<LedgerReport>(url, 'status/ledger', gaps, httpConfigFile);
    stdout.write(ledgerText(data));
    return data.journals.some(({ jobs }) => jobs.some(isWrong)) ? 1 : 0;
  } catch (error) {
    const foreign = error instanceof CanopyError && error.code === 'not_found';
    const hint = foreign ? '; is it a Canopy process?' : '';
    stderr.write(`canopy: ${printable(errorText(error))}${hint}\n`);
    return 1;
  }
}

const isWrong = ({ verdict }: JobReport): boolean => verdict === 'differs';

const HEAD = 'SOURCE,JOB,SCRAPED,JOURNALLED,REFUSED,MISSED,PULLED,STORED,MISSING,STATE'.split(',');
const RIGHT = new Set([2, 3, 4, 5, 6, 7, 8]);

function ledgerText({ name, journals, lossy = [] }: LedgerReport): string {
  const rows: string[][] = [HEAD];
  const refused: string[][] = [['REFUSED', 'JOB', 'REASON', 'SCRAPES']];
  for (const journal of journals) {
    for (const job of journal.jobs) {
      rows.push(jobCells(journal, job));
      for (const [reason, count] of Object.entries(job.refused)) {
        refused.push([journal.path[0], job.job, reason, String(count)]);
      }
    }
  }
  if (rows.length === 1) return `${printable(name)} has counted nothing yet\n`;
  const sections = [table(rows, RIGHT)];
  if (refused.length > 1) sections.push(table(refused, new Set([3])));
  sections.push(gapsText(journals), collisionsText(journals), lossyText(lossy));
  return sections.filter((text) => text !== '').join('\n');
}

function jobCells({ path }: JournalReport, job: JobReport): string[] {
  const { scraped, journalled, refused, missed, pulled, before, stored, missing, verdict } = job;
  const refusals = Object.values(refused).reduce((sum, count) => sum + count, 0);
  const counts = [scraped, journalled, refusals, missed, pulled - before, stored, missing];
  return [path.join(' → '), job.job, ...counts.map(String), verdict];
}

function gapsText(journals: readonly JournalReport[]): string {
  const rows: string[][] = [['GAPS', 'CAUSE', 'NUMBER']];
  for (const { path, gapsByCause } of journals) {
    for (const [cause, count] of Object.entries(gapsByCause)) {
      rows.push([path.join(' → '), cause, String(count)]);
    }
  }
  return rows.length === 1 ? 'no gap is known\n' : table(rows, new Set([2]));
}

function collisionsText(journals: readonly JournalReport[]): string {
  const rows: string[][] = [['COLLISION', 'SERIES', 'SHOWN', 'HIDDEN', 'SINCE']];
  for (const { collisions } of journals) {
    for (const { series, count, scrapeUrls, from } of collisions) {
      const since = new Date(from).toISOString();
      rows.push([series, String(count), ...scrapeUrls, since]);
    }
  }
  return rows.length === 1 ? '' : table(rows, new Set([1]));
}

function lossyText(lossy: readonly LossySource[]): string {
  if (lossy.length === 0) return '';
  const rows = lossy.map(({ source, url }) => [source, url]);
  const what =
    'what these had between two scrapes, or while they could not be reached, is not known';
  return `${table([['CAN LOSE SAMPLES', 'URL'], ...rows], new Set())}${what}\n`;
}
