/** What happened in a run, line by line, and one digest of all of it. */
import { createHash } from 'node:crypto';

const KEPT = 400;

export class Trace {
  readonly #hash = createHash('sha1');
  readonly #lines: string[] = [];
  readonly #now: () => number;
  readonly #say: ((line: string) => void) | undefined;

  constructor(now: () => number, say?: (line: string) => void) {
    this.#now = now;
    this.#say = say;
  }

  /** How often what was done, or was disturbed. */
  readonly counts: Record<string, number> = {};

  count(what: string, times = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + times;
  }

  /** Part of the digest: the same in every run of a seed. `what`: counted under this name. */
  note(line: string, what = ''): void {
    if (what !== '') this.count(what);
    const text = `${this.#now().toFixed(3)} ${line}`;
    this.#hash.update(text).update('\n');
    this.#keep(text);
  }

  /** For people: may hold what differs from run to run. */
  remark(line: string): void {
    this.#keep(`${this.#now().toFixed(3)}   ${line}`);
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  #keep(text: string): void {
    this.#say?.(text);
    this.#lines.push(text);
    if (this.#lines.length > 2 * KEPT) this.#lines.splice(0, KEPT);
  }
}
