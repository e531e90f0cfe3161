/**
 * Faults on purpose, one for each checker, which must be seen: they prove that the checkers check. None of them is in a
 * run that is not asked for it.
 */
import type { JournalCommit } from '@canopy/model';
import type { Database } from './database.js';
import type { Answer } from './exchange.js';

export type CanaryName = 'none' | 'unwritten';

/** From here on, so that there is something to spoil. */
const FROM_TIMES = 20;

export class Canaries {
  readonly #name: CanaryName;
  #times = 0;

  constructor(name: CanaryName) {
    this.#name = name;
  }

  /** What a parent's store writes of a commit that it will acknowledge. */
  spoilCommit(database: Database, commit: JournalCommit): JournalCommit {
    if (this.#name === 'none' || database.options.isEmbedded || commit.cursor === '') return commit;
    if (this.#name === 'unwritten' && this.#isTime()) return { ...commit, entries: [] };
    return commit;
  }

  spoilBody(_number: number, body: string): string {
    return body;
  }

  spoilAnswer(_path: string, answer: Answer): Answer | undefined {
    return answer;
  }

  #isTime(): boolean {
    return this.#times++ === FROM_TIMES;
  }
}
