/**
 * `canopy ledger --verify`: counts anew what a store holds and compares it with the ledgers, journal by journal. Reads
 * only, and beside a process that uses the store.
 */
import type { Writable } from 'node:stream';
import { CanopyError, type JournalState, type Store, errorText, parseLedger } from '@canopy/model';
import { type Comparison, type Difference, compare } from '../verify/compare.js';
import { type Recount, Recounter } from '../verify/recount.js';
import { printable, table } from './query.js';

export interface VerifyCommand {
  /** A store as it is now: each call another look. */
  open(): Promise<Store>;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Clock for people's patience: milliseconds. */
  monotonic(): number;
}

interface Verified {
  readonly name: string;
  readonly comparison: Comparison | null;
  readonly recount: Recount;
}

/** A store in use may move while it is read; then all of a journal is read again. */
const ATTEMPTS_MAX = 5;
const PROGRESS_EVERY_MS = 1000;

/** @returns 0 where ledgers and store agree, 1 where they do not or the store cannot be read. */
export async function runVerify(command: VerifyCommand): Promise<number> {
  const { stdout, stderr } = command;
  try {
    const verified: Verified[] = [];
    const store = await command.open();
    const states = await store.journals();
    await store[Symbol.asyncDispose]();
    for (const { ref } of states) {
      const one = await verifyJournal(command, ref, `${verified.length + 1} of ${states.length}`);
      if (one !== undefined) verified.push(one);
    }
    stdout.write(verifiedText(verified));
    const isWrong = ({ comparison }: Verified): boolean =>
      comparison === null || comparison.differences.some(({ named }) => named === '');
    return verified.some(isWrong) ? 1 : 0;
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    stderr.write(`canopy: ${printable(errorText(error))}\n`);
    return 1;
  }
}

/** Undefined where the journal is gone. */
async function verifyJournal(
  { open, stderr, monotonic }: VerifyCommand,
  ref: JournalState['ref'],
  number: string,
): Promise<Verified | undefined> {
  let said = monotonic();
  for (let attempt = 1; ; attempt++) {
    await using store = await open();
    const state = await store.journal(ref);
    if (state === undefined) return undefined;
    const ledger = parseLedger(state.ledger);
    const isOwn = state.cursor === '';
    const name = isOwn ? `own ${ref.slice(0, 8)}` : (ledger.trail[0]?.name ?? ref.slice(0, 8));
    const recount = await new Recounter(store, state, (text) => {
      if (monotonic() - said < PROGRESS_EVERY_MS) return;
      said = monotonic();
      stderr.write(`journal ${number}, ${printable(name)}: ${text}\n`);
    }).run();
    if (!recount.moved) return { name, recount, comparison: compare(ledger, recount, isOwn) };
    if (attempt === ATTEMPTS_MAX) return { name, recount, comparison: null };
  }
}

const HEAD = 'JOURNAL,WINDOWS,FRAMES,SAMPLES,NOT COMPARED,STATE'.split(',');

function verifiedText(verified: readonly Verified[]): string {
  if (verified.length === 0) return 'the store has no journal\n';
  const rows = [HEAD];
  const lines: string[] = [];
  for (const { name, comparison } of verified) {
    if (comparison === null) {
      rows.push([name, '-', '-', '-', '-', 'not compared']);
      lines.push(`${printable(name)}: the store moved on while it was read; try again later\n`);
      continue;
    }
    const { windows, frames, samples, windowsLeft, differences } = comparison;
    const isWrong = differences.some(({ named }) => named === '');
    const state = isWrong ? 'differs' : differences.length > 0 ? 'agrees, losses named' : 'agrees';
    rows.push([name, ...[windows, frames, samples, windowsLeft].map(String), state]);
    for (const difference of differences) lines.push(differenceText(name, difference));
  }
  const text = table(rows, new Set([1, 2, 3, 4]));
  return lines.length === 0 ? text : `${text}\n${lines.join('')}`;
}

function differenceText(name: string, difference: Difference): string {
  const { from, to, what, ledger, counted, named } = difference;
  if (what === 'records') return `${printable(name)}: ${counted} stored records cannot be read\n`;
  if (what === 'scrapes') {
    return `${printable(name)}: ${ledger} scrapes, of which ${counted} are journalled or refused\n`;
  }
  const when = `${new Date(from).toISOString()} to ${new Date(to).toISOString()}`;
  const why = named === '' ? '' : ` (${named})`;
  return `${printable(name)}: ${when}: ${ledger} ${what} in the ledger, ${counted} in the store${why}\n`;
}
