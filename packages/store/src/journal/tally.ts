/** What is to be counted in the ledger and goes with no record: scrapes that became no frame. */
import {
  COLLISIONS_MAX,
  type Collision,
  type Ledger,
  addCollision,
  addCount,
  copyLedger,
  jobIn,
} from '@canopy/model';
import type { QueuedRecord } from './record-queue.js';

interface JobTally {
  missed: number;
  readonly refused: Record<string, number>;
}

export class Tally {
  /** By reason; scrapes, frames that no scrape became, samples of nothing that was scraped. */
  readonly #refused: Record<string, number> = {};
  readonly #collisions: Collision[] = [];
  readonly #jobs = new Map<string, JobTally>();

  get isEmpty(): boolean {
    const { size } = this.#jobs;
    return size + this.#collisions.length + Object.keys(this.#refused).length === 0;
  }

  /** Scrapes of a job that became no frame. */
  refuse(job: string, reason: string, count: number): void {
    if (count <= 0) return;
    addCount(this.#refused, reason, count);
    addCount(this.#job(job).refused, reason, count);
  }

  /** Samples of which no job is told. */
  leaveOut(reason: string, count: number): void {
    if (count > 0) addCount(this.#refused, reason, count);
  }

  /** Frames that were not stored, some of which are scrapes. */
  drop(frames: readonly QueuedRecord[], reason: string): void {
    if (frames.length > 0) addCount(this.#refused, reason, frames.length);
    for (const { job, scrape } of frames) {
      if (scrape !== undefined) addCount(this.#job(job).refused, scrape || reason, 1);
    }
  }

  collide(collision: Collision): void {
    if (this.#collisions.length < COLLISIONS_MAX) this.#collisions.push(collision);
  }

  miss(job: string, count: number): void {
    if (count > 0) this.#job(job).missed += count;
  }

  add(other: Tally): void {
    addAll(this.#refused, other.#refused);
    for (const collision of other.#collisions) this.collide(collision);
    for (const [job, { missed, refused }] of other.#jobs) {
      this.miss(job, missed);
      addAll(this.#job(job).refused, refused);
    }
  }

  /** A ledger with this counted in. */
  shownIn(ledger: Readonly<Ledger>): Ledger {
    const shown = copyLedger(ledger);
    this.countInto(shown);
    return shown;
  }

  countInto(ledger: Ledger): void {
    addAll(ledger.refused, this.#refused);
    for (const collision of this.#collisions) addCollision(ledger, collision);
    for (const [job, { missed, refused }] of this.#jobs) {
      const counts = jobIn(ledger, job);
      counts.missed += missed;
      addAll(counts.refused, refused);
      for (const count of Object.values(refused)) counts.scraped += count;
    }
  }

  #job(name: string): JobTally {
    let job = this.#jobs.get(name);
    if (job === undefined) this.#jobs.set(name, (job = { missed: 0, refused: {} }));
    return job;
  }
}

function addAll(counts: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [reason, count] of Object.entries(more)) addCount(counts, reason, count);
}
