/** Who waits until the records written before are synced or dropped. */
interface Waiter {
  /** Records handed in since the start when it came. */
  readonly target: number;
  readonly done: () => void;
}

export class SyncWaiters {
  #waiters: Waiter[] = [];

  get isEmpty(): boolean {
    return this.#waiters.length === 0;
  }

  wait(target: number): Promise<void> {
    return new Promise((done) => void this.#waiters.push({ target, done }));
  }

  /** `settled`: of the records handed in since the start so many do not wait any more. */
  settle(settled: number): void {
    if (this.isEmpty) return;
    const done = this.#waiters.filter(({ target }) => target <= settled);
    this.#waiters = this.#waiters.filter(({ target }) => target > settled);
    for (const waiter of done) waiter.done();
  }
}
