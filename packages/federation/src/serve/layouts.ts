/**
 * Layout entries of a journal, for readers that need those of groups whose frames began before
 * their place.
 */
import {
  type Clock,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type Store,
  comparePositions,
} from '@canopy/model';

interface Cached {
  readonly trimmed: JournalPosition;
  readonly until: number;
  readonly entries: readonly JournalEntry[];
}

/** Journals whose layouts are kept between the pages of one dump. */
const CACHED_MAX = 4;
const CACHED_MS = 10_000;

/** Reads layouts in journal order; keeps the last few for the pages that follow. */
export class LayoutReader {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #cached = new Map<JournalRef, Cached>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** All layouts kept, in journal order. */
  async all(ref: JournalRef): Promise<JournalEntry[]> {
    const entries = await this.#store.readLayouts(ref);
    return entries.sort(comparePositions);
  }

  /**
   * Layouts up to `trimmed`, in journal order. They do not change but for those nobody needs any
   * more.
   */
  async upTo(ref: JournalRef, trimmed: JournalPosition): Promise<readonly JournalEntry[]> {
    const now = this.#clock.monotonic();
    const cached = this.#cached.get(ref);
    if (cached !== undefined && cached.until > now) {
      if (comparePositions(cached.trimmed, trimmed) === 0) return cached.entries;
    }
    const entries = (await this.all(ref)).filter((entry) => comparePositions(entry, trimmed) <= 0);
    this.#cached.delete(ref);
    // A dump of one page needs no second look.
    this.#cached.set(ref, { trimmed, until: now + CACHED_MS, entries });
    for (const [old, { until }] of this.#cached) {
      if (until <= now || this.#cached.size > CACHED_MAX) this.#cached.delete(old);
    }
    return entries;
  }
}
