/** Asks everybody again and again, whatever happens meanwhile, how many series of one target there are at each time. */
import { query, sleep } from '../processes.js';
import type { View, Window } from './evidence.js';
import { VIEWED_TARGET } from './frame-facts.js';

const PAUSE_MS = 400;
/** What an answer may take. */
const ANSWER_MS = 5000;
const SELECTOR = `{job="farm",n="${VIEWED_TARGET}"}[2s]`;

interface Member {
  readonly name: string;
  readonly base: string;
}

export class Watch {
  readonly #members: readonly Member[];
  /** By who, time and count. */
  readonly #views = new Map<string, View>();
  #isStopped = false;
  #running: Promise<unknown> | undefined;
  /** Answers. */
  answers = 0;

  constructor(members: readonly Member[]) {
    this.#members = members;
  }

  start(): void {
    this.#running = Promise.all(this.#members.map((member) => this.#watch(member)));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  /** What was seen of a window; all up to its end is forgotten. */
  take({ to }: Window): View[] {
    const taken = [...this.#views].filter(([, { time }]) => time <= to);
    for (const [key] of taken) this.#views.delete(key);
    return taken.map(([, view]) => view);
  }

  async #watch({ name, base }: Member): Promise<void> {
    while (!this.#isStopped) {
      try {
        this.#note(name, await query(base, SELECTOR, Date.now() / 1000, ANSWER_MS));
        this.answers++;
      } catch {
        // It is away, or not there yet.
      }
      await sleep(PAUSE_MS);
    }
  }

  #note(who: string, series: Awaited<ReturnType<typeof query>>): void {
    const counts = new Map<number, number>();
    for (const { values = [] } of series) {
      for (const [seconds] of values) counts.set(seconds, (counts.get(seconds) ?? 0) + 1);
    }
    for (const [seconds, count] of counts) {
      const time = Math.round(seconds * 1000);
      this.#views.set(`${who} ${time} ${count}`, { who, time, count });
    }
  }
}
