/** Who reads which journal and how far, in plain numbers for the status page and for trimming. */
import {
  type Clock,
  type DurationMs,
  type JournalPosition,
  type JournalRef,
  type Milliseconds,
  comparePositions,
} from '@canopy/model';

/** Who pulls, as far as it is known. */
export interface ReaderStatus {
  readonly name: string;
  readonly remote: string;
  readonly lastSeen: Milliseconds;
  readonly pulls: number;
  /** By stored journal: what the reader had when it asked last. */
  readonly positions: ReadonlyArray<readonly [ref: JournalRef, position: JournalPosition]>;
}

/** `positions` by stored journal: what the reader has, not what it was sent. */
export interface Reader {
  readonly key: string;
  readonly name: string;
  readonly remote: string;
  lastSeen: Milliseconds;
  pulls: number;
  /** When it was sent a report last; 0 never. */
  lastReport: number;
  /** When it was told last what was counted of a stored journal (ms since epoch). */
  readonly told: Map<JournalRef, number>;
  readonly positions: Map<JournalRef, JournalPosition>;
}

export class Readers {
  readonly #clock: Clock;
  readonly #readersMax: number;
  readonly #ttl: DurationMs;
  readonly #readers = new Map<string, Reader>();

  constructor(clock: Clock, readersMax: number, ttl: DurationMs) {
    this.#clock = clock;
    this.#readersMax = readersMax;
    this.#ttl = ttl;
  }

  /**
   * The record of a reader, made where there is none; undefined where there is no room for one
   * more.
   */
  admit(name: string, remote: string, selection: string): Reader | undefined {
    this.#expire();
    const key = JSON.stringify([name, remote, selection]);
    const now = this.#clock.now();
    let reader = this.#readers.get(key);
    if (reader === undefined) {
      if (this.#readers.size >= this.#readersMax) return undefined;
      const rest = { pulls: 0, lastReport: 0, told: new Map(), positions: new Map() };
      reader = { key, name, remote, lastSeen: now, ...rest };
      this.#readers.set(key, reader);
    }
    reader.lastSeen = now;
    reader.pulls++;
    return reader;
  }

  all(): ReaderStatus[] {
    this.#expire();
    return [...this.#readers.values()].map(({ name, remote, lastSeen, pulls, positions }) => {
      return { name, remote, lastSeen, pulls, positions: [...positions] };
    });
  }

  oldest(ref: JournalRef): JournalPosition | undefined {
    this.#expire();
    let oldest: JournalPosition | undefined;
    for (const { positions } of this.#readers.values()) {
      const position = positions.get(ref);
      if (position === undefined) continue;
      if (oldest === undefined || comparePositions(position, oldest) < 0) oldest = position;
    }
    return oldest;
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const [key, { lastSeen }] of this.#readers) {
      if (now - lastSeen > this.#ttl) this.#readers.delete(key);
    }
  }
}
