/** What one query goes by: samples held, time, turns given to the event loop, rules. */
import { CanopyError, type Clock, type Labels, NO_LABELS, type Turns } from '@canopy/model';
import { type Columns, countPresent } from './columns.js';
import { SampleTally } from './tally.js';

/**
 * Room set aside for columns before it is known how full they get, as a multiple of the samples
 * a query may hold. Bounds memory for sparse results.
 */
const CELLS_PER_SAMPLE_MAX = 2;
/** Work units (about a nanosecond or a few each) between looks at the clock. */
const WORK_BETWEEN_LOOKS = 100_000;

/** Work units of a row put into a list or a map. */
export const ROW_WORK = 100;
/** Work units of reading or making the labels of one row. */
export const LABELS_WORK = 1000;

/** Rules that may still change, by their flags in Prometheus. */
export interface Rules {
  /** Names go when all is worked out, not with each function that makes something else of them. */
  readonly delayedNameRemoval: boolean;
  /** `__type__` and `__unit__` are left out of matching, as the name is. */
  readonly typeAndUnitLabels: boolean;
  /** Counters are zero where their samples say that they began. */
  readonly startTimestamps: boolean;
}

export class Budget {
  readonly signal: AbortSignal;
  readonly rules: Rules;
  /** What is worked out for a subquery, or once for all steps, has one of its own for the while. */
  tally: SampleTally;
  peakSamples = 0;
  readonly #clock: Clock;
  readonly #maxSamples: number;
  readonly #maxRead: number;
  readonly #yieldEveryMs: number;
  readonly #turns: Turns;
  #held = 0;
  #read = 0;
  #work = 0;
  #lastYield: number;

  constructor(options: {
    clock: Clock;
    signal: AbortSignal;
    maxSamples: number;
    maxRead: number;
    yieldEveryMs: number;
    /** Of all queries: those that are worked out at once hold the event loop no longer than one does. */
    turns: Turns;
    rules: Rules;
    tally: SampleTally;
  }) {
    this.#clock = options.clock;
    this.signal = options.signal;
    this.rules = options.rules;
    this.tally = options.tally;
    this.#maxSamples = options.maxSamples;
    this.#maxRead = options.maxRead;
    this.#yieldEveryMs = options.yieldEveryMs;
    this.#turns = options.turns;
    this.#lastYield = options.clock.monotonic();
  }

  /** Works out something whose samples are counted apart. */
  async apart<T>(work: () => Promise<T>): Promise<{ result: T; tally: SampleTally }> {
    const outer = this.tally;
    const tally = new SampleTally(null);
    this.tally = tally;
    try {
      return { result: await work(), tally };
    } finally {
      this.tally = outer;
    }
  }

  /** New columns, all absent. @throws CanopyError `execution` over the limit. */
  allocate(rows: number, steps: number): Columns {
    const cells = rows * steps;
    if (cells > this.#maxSamples * CELLS_PER_SAMPLE_MAX) tooManySamples();
    // Pushed: a tenth of what `Array.from` with a function takes.
    const labels: Labels[] = [];
    for (let row = 0; row < rows; row++) labels.push(NO_LABELS);
    return {
      steps,
      labels,
      values: new Float64Array(cells),
      present: new Uint8Array(cells),
      held: 0,
    };
  }

  /** Counts what columns hold now. @throws CanopyError `execution` over the limit. */
  settle(columns: Columns): Columns {
    const count = countPresent(columns.present);
    this.hold(count - columns.held);
    columns.held = count;
    return columns;
  }

  /** The columns are not used any more. */
  release(columns: Columns): void {
    this.#held -= columns.held;
    columns.held = 0;
  }

  /** Counts entries that selectors read. @throws CanopyError `execution` over the limit. */
  read(entries: number): void {
    this.#read += entries;
    if (this.#read > this.#maxRead) tooManySamples();
  }

  hold(samples: number): void {
    this.#held += samples;
    if (this.#held > this.peakSamples) this.peakSamples = this.#held;
    if (this.#held > this.#maxSamples) tooManySamples();
  }

  /**
   * Counts work done; true where it is time to `await pause()`. Cheap enough for every row.
   */
  due(work: number): boolean {
    this.#work += work;
    if (this.#work < WORK_BETWEEN_LOOKS) return false;
    this.#work = 0;
    return this.#clock.monotonic() - this.#lastYield >= this.#yieldEveryMs;
  }

  /** Lets others run. @throws the reason of an abort (time-out, client gone). */
  async pause(): Promise<void> {
    this.signal.throwIfAborted();
    await this.#turns.next();
    this.signal.throwIfAborted();
    this.#lastYield = this.#clock.monotonic();
  }
}

/** The rows of all in new columns, in order. */
export function concatenate(parts: readonly Columns[], budget: Budget): Columns {
  const rows = parts.reduce((count, { labels }) => count + labels.length, 0);
  const out = budget.allocate(rows, parts[0].steps);
  let row = 0;
  for (const { labels, values, present, steps } of parts) {
    for (let i = 0; i < labels.length; i++) out.labels[row + i] = labels[i];
    out.values.set(values, row * steps);
    out.present.set(present, row * steps);
    row += labels.length;
  }
  return out;
}

function tooManySamples(): never {
  throw new CanopyError(
    'execution',
    'query processing would load too many samples into memory in query execution',
  );
}
