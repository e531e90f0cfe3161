/**
 * Faults on purpose, one at least for each checker, which must be seen: they prove that the checkers check. None of them
 * is in a run that is not asked for it.
 */
import { crc32c, encodeEntry, entryPayload } from '@canopy/encoding';
import { type Page, decodePage, encodePage } from '@canopy/federation';
import {
  EntryKind,
  type JournalCommit,
  type JournalEntry,
  SampleState,
  asTime,
} from '@canopy/model';
import type { CanopyProcess } from 'canopy/testing';
import type { Database } from './database.js';
import type { Answer } from './exchange.js';
import type { Hierarchy } from './hierarchy.js';
import type { Level, ReadSeries } from './level.js';

/** Canary → the checker that must see it. */
export const CANARIES = {
  /** A parent's store acknowledges entries and does not write them. */
  unwritten: 'complete',
  /** It writes one with another time. */
  retimed: 'complete',
  /** A page carries an entry that is not what was journalled. */
  forged: 'origins',
  /** A leaf's store acknowledges a frame and does not write it. */
  unjournalled: 'answered',
  /** An exporter's body comes cut, as if it were whole. */
  halved: 'atomic',
  /** A parent's answer lacks a stale mark. */
  unstale: 'staleness',
  /** A parent's answer has another help. */
  redescribed: 'metadata',
  /** A parent's store falls back, and nobody knows. */
  fallen: 'cursors',
  /** It falls back, and nobody knows, where a process dies at a read. */
  forgetful: 'cursors',
  /** A damaged record is handed out as if it were whole. */
  unnoticed: 'complete',
  /** A damaged tile passes its checks. */
  unchecked: 'complete',
  /** What is damaged is counted, and nobody is told what is missing. */
  unsaid: 'complete',
  /** A parent calls something damaged that is not. */
  alarming: 'damage',
  /** What is damaged is not counted. */
  uncounted: 'damage',
  /** A parent's registry names a leaf that never was. */
  stray: 'registration',
  /** A parent acknowledges that a leaf leaves, and never hears of it. */
  unleft: 'registration',
  /** A leaf that was killed does not say what is missing. */
  unnamed: 'answered',
  /** A parent's answer lacks something of a leaf that left. */
  forsaken: 'complete',
  /** A page says more is complete than is. */
  eager: 'watermarks',
  /** A parent's ledger counts one frame too many. */
  miscounted: 'ledgers',
  /** A parent keeps a snapshot open for ever. */
  leaking: 'memory',
  /** A parent's answers from leaves are lost for ever. */
  silent: 'progress',
} as const;

export type CanaryName = keyof typeof CANARIES;

/** From here on, so that there is something to spoil. */
const FROM_TIMES = 12;
const EAGER_MS = 20_000;
const CRC_SIZE = 4;
const LIMITS = { pageBytesMax: 64 * 1024 * 1024, journalsMax: 1000 };

export class Canaries {
  readonly #name: CanaryName | undefined;
  #times = 0;
  /** Key frames seen, by group. */
  readonly #runs = new Map<string, number>();

  constructor(name: CanaryName | undefined) {
    this.#name = name;
  }

  /** Once, when there is something to spoil. */
  #isTime(): boolean {
    return ++this.#times === FROM_TIMES;
  }

  /** What a store writes of a commit that it will acknowledge. */
  spoilCommit(database: Database, commit: JournalCommit): JournalCommit {
    const isPulled = commit.cursor !== '';
    const isFrame = ({ kind }: JournalEntry): boolean => kind === EntryKind.frame;
    const { entries } = commit;
    if (this.#name === 'unjournalled' && !isPulled && database.options.isEmbedded) {
      if (!entries.some(isFrame) || !this.#isTime()) return commit;
      const gone = entries.findLast(isFrame);
      return { ...commit, entries: entries.filter((entry) => entry !== gone) };
    }
    if (this.#name === 'unnamed' && !isPulled) {
      return { ...commit, entries: entries.filter(({ kind }) => kind !== EntryKind.gap) };
    }
    if (database.options.name !== 'dbp' || !isPulled || !entries.some(isFrame)) return commit;
    if (this.#name === 'unwritten' && this.#times++ >= FROM_TIMES) {
      return { ...commit, entries: entries.filter((entry) => this.#isWritten(commit, entry)) };
    }
    if (this.#name === 'retimed' && this.#isTime()) return { ...commit, entries: retimed(entries) };
    // Again and again: once it may go back for each fall that is in the plan.
    if (this.#name === 'fallen' && ++this.#times % FROM_TIMES === 0) database.fallSilently();
    if (this.#name === 'miscounted') {
      const ledger = JSON.parse(commit.ledger) as { frames: number };
      return { ...commit, ledger: JSON.stringify({ ...ledger, frames: ledger.frames + 1 }) };
    }
    return commit;
  }

  /** Of a group's runs from key frame to key frame every second one is not: a part of one the head would notice and name. */
  #isWritten({ lease }: JournalCommit, { kind, epoch, group, key }: JournalEntry): boolean {
    if (kind !== EntryKind.frame) return true;
    const name = `${lease.journal} ${epoch}/${group}`;
    const run = (this.#runs.get(name) ?? 0) + (key ? 1 : 0);
    this.#runs.set(name, run);
    return run % 2 === 0;
  }

  spoilDeath(why: string, database: Database): void {
    if (this.#name === 'forgetful' && why.startsWith('reading')) database.fallSilently();
  }

  /** What a damaged record is instead of one that fails its checks. */
  spoilDamage(): ((entry: JournalEntry) => JournalEntry) | undefined {
    return this.#name === 'unnoticed' ? (entry) => retimed([entry])[0] : undefined;
  }

  /** A flipped bit of a tile, and a checksum that is right again. */
  spoilAtRest(what: string, bytes: Uint8Array, damaged: Uint8Array): Uint8Array {
    if (this.#name !== 'unchecked' || what !== 'tile') return damaged;
    const end = bytes.length - CRC_SIZE;
    const spoiled = bytes.slice();
    // Within the values, which are last.
    spoiled[end - 1 - (end >> 3)] ^= 1;
    new DataView(spoiled.buffer).setUint32(end, crc32c(spoiled, 0, end), true);
    return spoiled;
  }

  /** What a store answers for a document. */
  spoilDocument(name: string, text: string | undefined): string | undefined {
    if (this.#name !== 'stray' || name !== 'registry' || text === undefined) return text;
    const stray = { name: 'stray', url: 'http://stray:9095', journal: 'f'.repeat(32), labels: {} };
    return JSON.stringify([...(JSON.parse(text) as unknown[]), stray]);
  }

  swallows(method: string): boolean {
    return this.#name === 'unleft' && method === 'DELETE';
  }

  spoilProcess(process: CanopyProcess): void {
    if (this.#name === 'unsaid') process.foundGaps.name = () => {};
    if (this.#name === 'uncounted') {
      Object.defineProperty(process.corrupt, 'count', { get: () => 0 });
    }
  }

  spoilLevel({ machine, ledgers }: Level): void {
    if (this.#name !== 'alarming' || machine.name !== 'p1') return;
    const gap = { group: 0, from: asTime(0), to: asTime(1), cause: 'corrupt', frames: 1 } as const;
    for (const { gaps } of ledgers.values()) gaps.push(gap);
  }

  spoilBody(number: number, body: string): string {
    if (this.#name !== 'halved' || number < FROM_TIMES || !this.#isTime()) return body;
    return body.slice(0, body.lastIndexOf('born'));
  }

  /** Undefined: it does not come. */
  spoilAnswer(path: string, answer: Answer): Answer | undefined {
    const [from, to] = path.split('>');
    if (!from.startsWith('p') || !to.startsWith('l')) return answer;
    if (this.#name === 'silent') return this.#times++ > FROM_TIMES ? undefined : answer;
    if (this.#name !== 'forged' && this.#name !== 'eager') return answer;
    const page = decodePage(answer.body, LIMITS);
    const hasFrames = page.journals.some(({ entries }) => entries.some(isFrameEntry));
    if (!hasFrames || this.#times++ < FROM_TIMES / 2) return answer;
    return { ...answer, body: encodePage(this.#spoilPage(page)) };
  }

  #spoilPage(page: Page): Page {
    const journals = page.journals.map((section) =>
      this.#name === 'eager'
        ? { ...section, watermark: section.watermark + EAGER_MS }
        : { ...section, entries: retimed(section.entries) },
    );
    return { ...page, journals };
  }

  spoilRead(hierarchy: Hierarchy, machine: string, series: Map<string, ReadSeries>): void {
    if (machine !== 'p1') return;
    if (this.#name === 'forsaken') this.#forsake(hierarchy, series);
    for (const [key, read] of series) {
      if (this.#name === 'redescribed' && key.includes('"wave"') && read.family !== undefined) {
        series.set(key, { ...read, family: { ...read.family, help: 'Another.' } });
      }
      if (this.#name !== 'unstale' || !key.includes('"now_and_then"')) continue;
      const kept = [...read.times.keys()].filter((i) => read.states[i] !== SampleState.stale);
      series.set(key, {
        ...read,
        times: Float64Array.from(kept, (i) => read.times[i]),
        values: Float64Array.from(kept, (i) => read.values[i]),
        states: Uint8Array.from(kept, (i) => read.states[i]),
      });
    }
  }

  #forsake({ machines, site }: Hierarchy, series: Map<string, ReadSeries>): void {
    for (const { writer, series: written } of site.history.truths.values()) {
      const isGone = [...machines.values()].some(
        (machine) => machine.isGone && machine.options.database.options.name === writer,
      );
      if (isGone) for (const key of written.keys()) series.delete(key);
    }
  }

  leaksAt(machine: string): boolean {
    return this.#name === 'leaking' && machine === 'p1';
  }
}

const isFrameEntry = ({ kind }: JournalEntry): boolean => kind === EntryKind.frame;

/** The last frame, a millisecond later. */
function retimed(entries: readonly JournalEntry[]): JournalEntry[] {
  const at = entries.findLastIndex(isFrameEntry);
  return entries.map((entry, i) =>
    i === at ? encodeEntry({ ...entry, time: asTime(entry.time + 1) }, entryPayload(entry)) : entry,
  );
}
