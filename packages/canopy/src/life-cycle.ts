/**
 * What was started, in order, to be stopped in reverse.
 */
import { type Clock, type Timer, asDuration, errorText } from '@canopy/model';
import type { Log } from './log.js';

interface Part {
  readonly name: string;
  readonly stop: () => Promise<void> | void;
  readonly stopMs: number;
}

/**
 * A list of running parts. `stop` undoes them in reverse order; one that fails or takes longer
 * than its share does not keep the others from being stopped.
 */
export class LifeCycle {
  readonly #parts: Part[] = [];
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #partStopMs: number;
  #stopped: Promise<void> | undefined;

  constructor(log: Log, clock: Clock, partStopMs: number) {
    this.#log = log;
    this.#clock = clock;
    this.#partStopMs = partStopMs;
  }

  /** Remembers how to undo what was just started. `stopMs`: its share of time, where it is not the usual. */
  add(name: string, stop: () => Promise<void> | void, stopMs = this.#partStopMs): void {
    this.#parts.push({ name, stop, stopMs });
  }

  /** Stops everything; the second and later calls wait for the first. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    for (const part of this.#parts.reverse()) {
      let timer: Timer | undefined;
      const late = new Promise<'late'>((resolve) => {
        timer = this.#clock.after(asDuration(part.stopMs), () => resolve('late'));
      });
      try {
        const outcome = await Promise.race([Promise.resolve(part.stop()), late]);
        if (outcome === 'late') this.#log('warn', `${part.name} did not stop in time`);
      } catch (error) {
        this.#log('error', `stopping ${part.name} failed`, { error: errorText(error) });
      } finally {
        timer?.cancel();
      }
    }
  }
}
