/**
 * Faults on purpose, one for each checker, which must be seen: they prove that the checkers check. None of them is in a
 * run that is not asked for it.
 */
import { EntryKind, type JournalCommit, type JournalEntry } from '@canopy/model';
import type { Database } from './database.js';
import type { Answer } from './exchange.js';

export type CanaryName = 'none' | 'unwritten';

/** From here on, so that there is something to spoil. */
const FROM_TIMES = 5;

export class Canaries {
  readonly #name: CanaryName;
  #times = 0;
  /** Key frames seen, by group. */
  readonly #runs = new Map<string, number>();

  constructor(name: CanaryName) {
    this.#name = name;
  }

  /** What a parent's store writes of a commit that it will acknowledge. */
  spoilCommit(database: Database, commit: JournalCommit): JournalCommit {
    if (this.#name === 'none' || database.options.isEmbedded || commit.cursor === '') return commit;
    if (this.#name !== 'unwritten' || this.#times++ < FROM_TIMES) return commit;
    const entries = commit.entries.filter((entry) => this.#isWritten(commit, entry));
    return { ...commit, entries };
  }

  /** Of a group's runs from key frame to key frame every second one is not: a part of one the head would notice and name. */
  #isWritten({ lease }: JournalCommit, { kind, epoch, group, key }: JournalEntry): boolean {
    if (kind !== EntryKind.frame) return true;
    const name = `${lease.journal} ${epoch}/${group}`;
    const run = (this.#runs.get(name) ?? 0) + (key ? 1 : 0);
    this.#runs.set(name, run);
    return run % 2 === 0;
  }

  spoilBody(_number: number, body: string): string {
    return body;
  }

  spoilAnswer(_path: string, answer: Answer): Answer | undefined {
    return answer;
  }
}
