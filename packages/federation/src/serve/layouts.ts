/**
 * Layout entries of a journal, for readers that need those of groups whose frames began before
 * their place.
 */
import {
  type Clock,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Store,
  comparePositions,
} from '@canopy/model';

interface Cached {
  /** All layouts up to here are among them. */
  readonly position: JournalPosition;
  until: number;
  readonly entries: Promise<readonly JournalEntry[]>;
}

/** Journals whose layouts are kept between the pages of one dump. */
const CACHED_MAX = 4;
/**
 * Not used for so long. Reading them may take longer than a reader waits: it must find them when it asks again, an
 * interval later (Prometheus's default is a minute).
 */
const CACHED_MS = 150_000;

/** Reads layouts in journal order; keeps the last few for the pages that follow. */
export class LayoutReader {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #cached = new Map<JournalRef, Cached>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** All layouts kept, in journal order: those up to `stored.position`, and maybe later ones. Not to be written to. */
  all(stored: JournalState): Promise<readonly JournalEntry[]> {
    return this.#known(stored, stored.position);
  }

  /**
   * Layouts up to `trimmed`, in journal order. They do not change but for those nobody needs any
   * more.
   */
  async upTo(stored: JournalState, trimmed: JournalPosition): Promise<JournalEntry[]> {
    const entries = await this.#known(stored, trimmed);
    return entries.filter((entry) => comparePositions(entry, trimmed) <= 0);
  }

  #known(stored: JournalState, upTo: JournalPosition): Promise<readonly JournalEntry[]> {
    const cached = this.#cached.get(stored.ref);
    const isThere = cached !== undefined && comparePositions(upTo, cached.position) <= 0;
    const { entries } = isThere ? cached : this.#read(stored);
    this.#cached.get(stored.ref)!.until = this.#clock.monotonic() + CACHED_MS;
    return entries;
  }

  /** Forgets what nobody has asked for since long. */
  expire(): void {
    const now = this.#clock.monotonic();
    for (const [ref, { until }] of this.#cached) if (until <= now) this.#cached.delete(ref);
  }

  /** Those who ask meanwhile wait for the same. */
  #read({ ref, position }: JournalState): Cached {
    const entries = this.#store.readLayouts(ref).then((read) => read.sort(comparePositions));
    const cached = { position, until: Number.POSITIVE_INFINITY, entries };
    this.#cached.delete(ref);
    this.#cached.set(ref, cached);
    for (const oldest of this.#cached.keys()) {
      if (this.#cached.size <= CACHED_MAX) break;
      this.#cached.delete(oldest);
    }
    entries.catch(() => {
      if (this.#cached.get(ref) === cached) this.#cached.delete(ref);
    });
    return cached;
  }
}
