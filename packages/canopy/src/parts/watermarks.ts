/**
 * Up to when each journal is complete in the head, and how long that has stood still: what queries with
 * `complete=true` hold to.
 */
import {
  type Clock,
  type Completeness,
  type JournalRef,
  type QueryRead,
  asTime,
} from '@canopy/model';

/** A journal whose watermark stands still for longer is lost: nobody waits for it. */
const LOST_AFTER_MS = 300_000;

export interface WatermarkParts {
  readonly clock: Clock;
  /** Journals that a query with these selectors may be waiting for. */
  journalsOf(reads: readonly QueryRead[]): Promise<ReadonlySet<JournalRef>>;
  /** What the store had of a journal that nothing was heard of since the start (ms since epoch). */
  stored(ref: JournalRef): number;
  /** Of the journal that this process writes; undefined for others. */
  own(ref: JournalRef): number | undefined;
  /** What people call the source of a journal. */
  nameOf(ref: JournalRef): string;
}

interface Mark {
  time: number;
  /** Clock.monotonic() */
  movedAt: number;
}

export class Watermarks {
  readonly #parts: WatermarkParts;
  readonly #startedAt: number;
  readonly #marks = new Map<JournalRef, Mark>();

  constructor(parts: WatermarkParts) {
    this.#parts = parts;
    this.#startedAt = parts.clock.monotonic();
  }

  /** The head has all of a journal up to `time`. */
  note(ref: JournalRef, time: number): void {
    const mark = this.#marks.get(ref);
    if (mark !== undefined && time <= mark.time) return;
    this.#marks.set(ref, { time, movedAt: this.#parts.clock.monotonic() });
  }

  /** The store lost what it had of a journal, and the head with it: it has all up to `time`. */
  goBack(ref: JournalRef, time: number): void {
    this.#marks.set(ref, { time, movedAt: this.#parts.clock.monotonic() });
  }

  /** Up to when all is there that `reads` may find; the reads' own end where that is earlier. */
  async complete(reads: readonly QueryRead[]): Promise<Completeness> {
    const end = Math.max(0, ...reads.map(({ maxTime }) => maxTime));
    let upTo = Number.MAX_SAFE_INTEGER;
    const warnings: string[] = [];
    for (const ref of await this.#parts.journalsOf(reads)) {
      const { time, movedAt } = this.#mark(ref);
      if (time >= end) continue;
      if (this.#parts.clock.monotonic() - movedAt <= LOST_AFTER_MS) upTo = Math.min(upTo, time);
      else warnings.push(lostText(this.#parts.nameOf(ref), time));
    }
    return { upTo: asTime(upTo), warnings: warnings.sort() };
  }

  #mark(ref: JournalRef): Mark {
    const own = this.#parts.own(ref);
    if (own !== undefined) return { time: own, movedAt: this.#parts.clock.monotonic() };
    const mark = this.#marks.get(ref);
    if (mark !== undefined) return mark;
    return { time: this.#parts.stored(ref), movedAt: this.#startedAt };
  }
}

function lostText(name: string, time: number): string {
  const since = time > 0 ? new Date(time).toISOString() : 'its beginning';
  return `${name} has been lost for more than 5m: what it has after ${since} is not waited for`;
}
