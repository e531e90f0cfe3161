/**
 * The time of one run: events in order of when they are due, and between two of them everything that promises and
 * `setImmediate` have to do. Nothing else moves time, so one seed gives one order of events.
 */
import { type Clock, type DurationMs, type Timer, asTime } from '@canopy/model';

/** Wall clocks stand here when a run begins. Milliseconds since the epoch. */
export const EPOCH_MS = 1_700_000_000_000;

interface Event {
  due: number;
  readonly order: number;
  readonly owner: Machinery | undefined;
  /** Its machine was frozen when it was due. */
  isPutOff: boolean;
  /** Undefined once cancelled. */
  fire: (() => void) | undefined;
}

/** What a machine does to the events of those that run on it. */
export interface Machinery {
  /** Nothing happens on it before. */
  readonly frozenUntil: number;
  /** Added to the wall clock. Milliseconds. */
  readonly clockOffset: number;
}

/** Turns of the event loop that one event may ask for: beyond it something yields for ever. */
const TURNS_MAX = 100_000;

export class SimTime {
  /** Milliseconds since the run began. */
  now = 0;
  events = 0;
  #order = 0;
  /** A binary heap by (due, order). */
  readonly #heap: Event[] = [];
  #immediates = 0;
  readonly #setImmediate = globalThis.setImmediate;
  readonly #clearImmediate = globalThis.clearImmediate;

  /** Counts what waits for the next turn of the event loop, until `dispose`. */
  constructor() {
    const real = this.#setImmediate;
    const counted = (fire: (...args: unknown[]) => void, ...args: unknown[]) => {
      this.#immediates++;
      return real(() => {
        this.#immediates--;
        fire(...args);
      });
    };
    globalThis.setImmediate = counted as unknown as typeof setImmediate;
    globalThis.clearImmediate = (handle) => {
      if (handle !== undefined) this.#immediates--;
      this.#clearImmediate(handle);
    };
  }

  [Symbol.dispose](): void {
    globalThis.setImmediate = this.#setImmediate;
    globalThis.clearImmediate = this.#clearImmediate;
  }

  at(due: number, fire: () => void, owner?: Machinery): Timer {
    const event: Event = {
      due: Math.max(due, this.now),
      order: this.#order++,
      owner,
      fire,
      isPutOff: false,
    };
    this.#push(event);
    return { cancel: () => void (event.fire = undefined) };
  }

  /** Lets time pass until `end`, or until `isDone`. */
  async run(end: number, isDone: () => boolean = () => false): Promise<void> {
    await this.#settle();
    while (!isDone()) {
      const event = this.#heap[0];
      if (event === undefined || event.due > end) {
        this.now = Math.max(this.now, end);
        return;
      }
      this.#pop();
      if (event.fire === undefined) continue;
      const thaw = event.owner?.frozenUntil ?? 0;
      if (thaw > event.due) {
        event.due = thaw;
        event.isPutOff = true;
        this.#push(event);
        continue;
      }
      this.now = Math.max(this.now, event.due);
      this.events++;
      event.fire();
      await this.#settle();
    }
  }

  /** What a machine was to do while it was frozen comes now. */
  thaw(owner: Machinery): void {
    const events = this.#heap.splice(0);
    for (const event of events) {
      if (event.owner === owner && event.isPutOff) event.due = Math.min(event.due, this.now);
      this.#push(event);
    }
  }

  async #settle(): Promise<void> {
    for (let turns = 0; turns < TURNS_MAX; turns++) {
      await new Promise<void>((resolve) => void this.#setImmediate(resolve));
      if (this.#immediates === 0) return;
    }
    throw new Error('BUG: something yields for ever');
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Event, b: Event): boolean =>
  a.due < b.due || (a.due === b.due && a.order < b.order);

/** One run of a program on a machine, from its start to its end: what it waits for never comes once it is over. */
export class Life implements Clock {
  isAlive = true;
  readonly #time: SimTime;
  readonly #machine: Machinery;
  readonly #onEnd = new Set<() => void>();
  /** Asked before anything that this run waits for comes; true: it is over instead. */
  mayDie: () => boolean = () => false;

  constructor(time: SimTime, machine: Machinery) {
    this.#time = time;
    this.#machine = machine;
  }

  now(): ReturnType<Clock['now']> {
    return asTime(Math.floor(EPOCH_MS + this.#time.now + this.#machine.clockOffset));
  }

  monotonic(): number {
    return this.#time.now;
  }

  after(delay: DurationMs, fire: () => void): Timer {
    return this.in(delay, fire);
  }

  in(delay: number, fire: () => void): Timer {
    const ifAlive = (): void => {
      if (this.isAlive && !this.mayDie()) fire();
    };
    return this.#time.at(this.#time.now + Math.max(0, delay), ifAlive, this.#machine);
  }

  /** Calls `tell` when it is over, unless undone before. */
  onEnd(tell: () => void): () => void {
    this.#onEnd.add(tell);
    return () => void this.#onEnd.delete(tell);
  }

  end(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const tell of this.#onEnd) tell();
  }
}
