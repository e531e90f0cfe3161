/**
 * What the store said last: states of its journals and how full it is. Asked now and then, so that
 * status pages and metrics never wait for a store.
 */
import { type JournalRef, type JournalState, type StoreUsage, errorText } from '@canopy/model';
import type { ReportingStore } from '@canopy/store';

export class StorePulse {
  readonly #store: ReportingStore;
  #states = new Map<JournalRef, JournalState>();
  #usage: StoreUsage = { usedBytes: 0, limitBytes: 0 };
  #error = '';

  constructor(store: ReportingStore) {
    this.#store = store;
  }

  async beat(): Promise<void> {
    try {
      // Together: waking costs a store more than the question does.
      const [states, usage] = await Promise.all([this.#store.journals(), this.#store.usage()]);
      this.#states = new Map(states.map((state) => [state.ref, state]));
      this.#usage = usage;
      this.#error = '';
    } catch (error) {
      this.#error = errorText(error);
    }
  }

  get states(): ReadonlyMap<JournalRef, JournalState> {
    return this.#states;
  }

  get usage(): StoreUsage {
    return this.#usage;
  }

  get healthy(): boolean {
    return this.#error === '' && this.#store.health.healthy;
  }

  get message(): string {
    return this.#error === '' ? this.#store.health.message : this.#error;
  }
}
