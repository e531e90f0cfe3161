/** What a process answers about every sample it has, read through a snapshot of its head as queries do. */
import type { Head } from '@canopy/head';
import {
  type Family,
  type GapRecord,
  type JournalPosition,
  type JournalRef,
  SampleState,
  asTime,
  journalIdOf,
  makeMatcher,
  parseLedger,
} from '@canopy/model';
import { seriesKey } from '../chaos/oracle.js';
import type { Machine } from './machine.js';
import type { SimTime } from './time.js';
import { pairsOf } from './truth.js';

export interface ReadSeries {
  readonly labels: ReadonlyMap<string, string>;
  readonly family: Family | undefined;
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** `value` or `stale`. */
  readonly states: Uint8Array;
}

export interface Level {
  readonly machine: Machine;
  readonly series: ReadonlyMap<string, ReadSeries>;
  /** By journal (filtered views under the name of the whole): what its ledger says. */
  readonly ledgers: ReadonlyMap<JournalRef, ReturnType<typeof parseLedger>>;
  /** By journal: up to where its store has it. */
  readonly states: ReadonlyMap<JournalRef, JournalPosition>;
  /** Only these series are asked for. */
  readonly takes: (name: string) => boolean;
}

const EVERYTHING = { minTime: asTime(0), maxTime: asTime(2 ** 52) };

/** Pins a snapshot now; resolves with what is in it, perhaps much later. Undefined where the process died meanwhile. */
export async function readAll(head: Head): Promise<Map<string, ReadSeries>> {
  const snapshot = head.snapshot();
  try {
    const selected = await snapshot.select([makeMatcher('__name__', '!=', '')], EVERYTHING);
    const found = new Map<string, ReadSeries>();
    for (const { labels, family, times, values, states, from, to } of selected) {
      const kept: number[] = [];
      for (let i = from; i < to; i++) {
        if (states === null || states[i] !== SampleState.none) kept.push(i);
      }
      const pairs = pairsOf(labels);
      found.set(seriesKey(pairs), {
        ...{ labels: new Map(pairs), family },
        times: Float64Array.from(kept, (i) => times[i]),
        values: Float64Array.from(kept, (i) => values[i]),
        states: Uint8Array.from(kept, (i) => (states === null ? SampleState.value : states[i])),
      });
    }
    return found;
  } finally {
    snapshot.release();
  }
}

/** A store that answers at all answers within this. */
const NAMED_MS = 1000;

/** `beside`: all that write to the same store; a standby has its ledgers from who leads. */
export async function readLevel(
  machine: Machine,
  beside: readonly Machine[],
  takes: Level['takes'],
  time: SimTime,
): Promise<Level> {
  const { process } = machine;
  if (process === undefined) throw new Error(`BUG: ${machine.name} does not run`);
  const series = await readAll(process.head);
  // What is damaged is looked for in the store once more, and named then.
  await new Promise<void>((done) => void time.at(time.now + NAMED_MS, done));
  const ledgers = new Map<JournalRef, ReturnType<typeof parseLedger>>();
  const states = new Map<JournalRef, JournalPosition>();
  const stored = await machine.options.database.store.journals();
  for (const { ref, ledger, position } of stored) {
    ledgers.set(wholeOf(ref), parseLedger(ledger));
    states.set(wholeOf(ref), position);
  }
  // What was found meanwhile is told at once, and stored with the next commit.
  const told = beside.flatMap(({ process: writer }) => [
    ...(writer?.puller?.journals() ?? []),
    ...(writer?.journal ? [writer.journal] : []),
  ]);
  for (const { ref, ledger } of told) {
    const known = ledgers.get(wholeOf(ref));
    if (known !== undefined) ledgers.set(wholeOf(ref), { ...known, gaps: [...ledger.gaps] });
  }
  // A journal whose source is gone; a standby's own losses, which the store's writer may not have.
  for (const { ref } of stored) {
    ledgers.get(wholeOf(ref))!.gaps.push(...process.foundGaps.of(ref));
  }
  return { machine, series, ledgers, states, takes };
}

const wholeOf = (ref: JournalRef): JournalRef => journalIdOf(ref) as string as JournalRef;

/** One of a layout or an extent that is gone: nobody knows which times it had. */
const isTimeless = ({ cause, from, to }: GapRecord): boolean =>
  cause === 'corrupt' && from === 0 && to === 0;

export const covers = (gap: GapRecord, time: number): boolean =>
  isTimeless(gap) || (gap.from < time && time < gap.to);
