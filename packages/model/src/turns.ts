/**
 * Work in small steps beside other such work: in each turn of the event loop one of all who wait makes its step, however
 * many there are.
 */
export class Turns {
  readonly #defer: (run: () => void) => unknown;
  readonly #waiting: Array<() => void> = [];

  /** `defer` runs something in a later turn of the event loop: `setImmediate`. */
  constructor(defer: (run: () => void) => unknown) {
    this.#defer = defer;
  }

  /** Resolves in a turn of one's own; those who wait take turns. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) this.#arm();
    });
  }

  #arm(): void {
    this.#defer(() => {
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#arm();
    });
  }
}
