/** The numbers that entries get: an epoch, and a sequence in it. When a new epoch begins, and which. */
import { type Epoch, type JournalPosition, type Sequence, invariant } from '@canopy/model';
import { epochAbove } from './journal-place.js';
import type { JournalWriterOptions } from './options.js';

export class Numbering {
  readonly #options: Pick<JournalWriterOptions, 'clock' | 'randomBytes'>;
  #epoch: Epoch;
  #sequence: Sequence;
  #breakAbove: JournalPosition | undefined;
  #mayLoseEpoch = false;

  /** `begun`: the position that is gone on from. */
  constructor(
    options: Pick<JournalWriterOptions, 'clock' | 'randomBytes'>,
    { epoch, sequence }: JournalPosition,
  ) {
    this.#options = options;
    this.#epoch = epoch;
    this.#sequence = sequence;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  /** Of the newest entry that has one. */
  get last(): JournalPosition {
    return { epoch: this.#epoch, sequence: this.#sequence };
  }

  /** Entries up to there have theirs. */
  given({ epoch, sequence }: JournalPosition): void {
    invariant(epoch === this.#epoch, 'BUG: numbers of another epoch');
    this.#sequence = sequence;
  }

  /** A reader has seen so much: the next epoch must be above it. False where this one is, or that is known. */
  askForBreak(above: JournalPosition): boolean {
    if (above.epoch < this.#epoch) return false;
    const before = this.#breakAbove;
    if (before === undefined || before.epoch < above.epoch) this.#breakAbove = above;
    return true;
  }

  /** What was asked for, once; undefined where nothing was, or this epoch is above it. */
  takeBreak(): JournalPosition | undefined {
    const above = this.#breakAbove;
    this.#breakAbove = undefined;
    return above === undefined || above.epoch < this.#epoch ? undefined : above;
  }

  /** The next epoch, above `known` as well. */
  begin(known: Epoch): void {
    this.#epoch = Math.max(this.#epoch, known) + 1;
    this.#sequence = 0;
    this.#mayLoseEpoch = false;
  }

  /** The store may lose what it took of `epoch`: another is to begin where nothing waits for its number. */
  askForNext(epoch: Epoch): void {
    if (epoch === this.#epoch) this.#mayLoseEpoch = true;
  }

  /** Nothing waits: an epoch that was asked for begins, above any that a process after a kill could take for the next. */
  beginAsked(): void {
    if (!this.#mayLoseEpoch) return;
    this.#epoch = epochAbove(this.#epoch, this.#options);
    this.#sequence = 0;
    this.#mayLoseEpoch = false;
  }
}
