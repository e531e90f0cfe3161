/** Samples a second over the last few readings of a counter. */
export class Rate {
  readonly #read: () => number;
  readonly #readings: Array<{ readonly at: number; readonly total: number }> = [];
  static readonly #KEPT = 4;

  constructor(read: () => number) {
    this.#read = read;
  }

  /** Takes a reading; `at` in ms of a monotonic clock. */
  tick(at: number): void {
    this.#readings.push({ at, total: this.#read() });
    if (this.#readings.length > Rate.#KEPT) this.#readings.shift();
  }

  get perSecond(): number {
    const first = this.#readings[0];
    const last = this.#readings[this.#readings.length - 1];
    if (first === undefined || last.at === first.at) return 0;
    return (1000 * (last.total - first.total)) / (last.at - first.at);
  }
}
