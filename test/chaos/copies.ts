/** What a parent holds and counts of a leaf's journal, judged by the journal itself. */
import { type JournalPosition, type JournalReport, comparePositions } from '@canopy/model';
import type { Gap } from '../hierarchy.js';
import type { Copy, JournalEvidence } from './evidence.js';
import { gapText } from './loss.js';
import type { Tally } from './oracle.js';

/** A parent lists at most so many gaps, the newest. */
const GAPS_LISTED_MAX = 200;

/** A parent has each entry it has not cut, byte for byte, and counts what it took in. */
export function copyFaults(journal: JournalEvidence, copy: Copy): string[] {
  const { ledger, trimmed, marks } = copy;
  const faults = gapFaults(ledger.gaps, journal.gapsBefore, journal.gaps);
  const have = new Map(marks.map(({ position, crc }) => [keyOf(position), crc]));
  if (have.size !== marks.length) faults.push('entries twice');
  for (const { position, crc } of journal.marks) {
    if (comparePositions(position, trimmed) <= 0) continue;
    if (comparePositions(position, ledger.position) > 0) break;
    const its = have.get(keyOf(position));
    if (its === undefined) {
      const read = [marks[0], marks.at(-1)].map((mark) => mark && keyOf(mark.position));
      const kept = `trimmed ${keyOf(trimmed)}, stored ${keyOf(ledger.position)}, read ${marks.length}: ${read.join(' to ')}`;
      faults.push(`entry ${keyOf(position)} missing; ${kept}`);
    } else if (its !== crc) faults.push(`entry ${keyOf(position)} has other bytes`);
  }
  return [...faults, ...ledgerFaults(journal, copy), ...reportFaults(journal, copy.report)];
}

const keyOf = ({ epoch, sequence }: JournalPosition): string => `${epoch}/${sequence}`;

const tallyAt = (
  { tallies }: JournalEvidence,
  { epoch, sequence }: JournalPosition,
): Tally | undefined =>
  tallies.find(({ position }) => position.epoch === epoch && position.sequence === sequence);

/**
 * What a ledger counts is what the journal has up to its position. Samples are those that the parent's head took in: what it had
 * before the store fell back, or was killed before it was counted, is not in there, so they are not more.
 */
function ledgerFaults(journal: JournalEvidence, { ledger }: Copy): string[] {
  const here = tallyAt(journal, ledger.position);
  if (here === undefined) return [`ledger: no entry ends at ${keyOf(ledger.position)}`];
  const faults: string[] = [];
  for (const what of ['frames', 'bytes'] as const) {
    if (ledger[what] !== here[what])
      faults.push(`ledger: ${ledger[what]} ${what}, not ${here[what]}`);
  }
  if (ledger.samples > here.samples) {
    faults.push(`ledger: ${ledger.samples} samples of ${here.samples}`);
  }
  for (const reason of Object.keys(ledger.refused)) faults.push(`ledger: refused ${reason}`);
  if (ledger.collisionsTotal > 0) faults.push('ledger: a collision');
  return faults;
}

/**
 * What the leaf says of its scrapes is what it journalled up to the position for which it says so; what the next one below has, and
 * what the parent had itself then, is what the journal has up to that one's position.
 */
function reportFaults(journal: JournalEvidence, { path, saidAt, jobs }: JournalReport): string[] {
  if (path[0] !== journal.leaf || jobs.length !== 1) return [`report: not of ${journal.leaf}`];
  const [writer, source] = [saidAt[0], saidAt.at(-1)!].map((said) => tallyAt(journal, said));
  if (writer === undefined || source === undefined) return ['report: of no position'];
  const [{ job, scraped, journalled, refused, samples, verdict, ...counts }] = jobs;
  const faults: string[] = [];
  const check = (what: string, have: number, want: number): void => {
    if (have !== want) faults.push(`report of ${job}: ${have} ${what}, not ${want}`);
  };
  check('scrapes', journalled, writer.scrapes);
  const refusals = Object.values(refused).reduce((all, count) => all + count, 0);
  check('scrapes that came to an end', scraped, writer.scrapes + refusals);
  check('samples', samples, writer.samples);
  check('frames at the source', counts.pulled, source.frames);
  check('frames here', counts.stored, source.frames);
  check('frames before', counts.before, 0);
  check('frames missing', counts.missing, 0);
  if (verdict !== 'balanced') faults.push(`report of ${job}: ${verdict}`);
  return faults;
}

/** A parent lists what was journalled before it was asked, and nothing that was not journalled after. */
export function gapFaults(
  listed: readonly Gap[],
  before: readonly Gap[],
  after: readonly Gap[],
): string[] {
  const count = (gaps: readonly Gap[]): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const gap of gaps) counts.set(gapText(gap), (counts.get(gapText(gap)) ?? 0) + 1);
    return counts;
  };
  const [have, must, may] = [count(listed), count(before), count(after)];
  const faults: string[] = [];
  for (const [gap, times] of have) {
    if (times > (may.get(gap) ?? 0)) faults.push(`gap ${gap}: not journalled ${times} times`);
  }
  if (before.length > GAPS_LISTED_MAX) return faults;
  for (const [gap, times] of must) {
    if (times > (have.get(gap) ?? 0)) faults.push(`gap ${gap}: not listed`);
  }
  return faults;
}
