/**
 * Who is ended by a signal. A target's signal lives as long as the target, and each of its scrapes would
 * add a listener and take it away again: one listener a signal serves them all.
 */

export interface Abortable {
  /** The signal is aborted; its reason says why. */
  abort(): void;
}

export class Aborts {
  readonly #bySignal = new WeakMap<AbortSignal, Set<Abortable>>();

  /** `signal` must not be aborted yet. */
  add(signal: AbortSignal, one: Abortable): void {
    let members = this.#bySignal.get(signal);
    if (members === undefined) {
      const all = new Set<Abortable>();
      signal.addEventListener('abort', () => all.forEach((each) => each.abort()), { once: true });
      this.#bySignal.set(signal, (members = all));
    }
    members.add(one);
  }

  delete(signal: AbortSignal, one: Abortable): void {
    this.#bySignal.get(signal)?.delete(one);
  }
}
