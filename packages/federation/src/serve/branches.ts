/**
 * Finds readers whose newest entry is another than the one that stands here under its number: the journal was put back
 * to an older state, and went on from there beyond what they have.
 */
import {
  type JournalPosition,
  type JournalState,
  type Store,
  comparePositions,
} from '@canopy/model';
import type { ReadCursor } from '../cursor.js';
import { proofOf } from '../proof.js';

/** Cursors that this process gave out and that need not be compared again. */
const KNOWN_MAX = 8192;
const ONE_ENTRY = { maxBytes: 1, maxEntries: 1 };

export class Branches {
  readonly #store: Pick<Store, 'journal' | 'readEntries'>;
  /** Proofs by journal and position; oldest first. */
  readonly #known = new Map<string, number>();

  /** Those that were told of, as journal and position. */
  readonly #told = new Set<string>();

  constructor(store: Pick<Store, 'journal' | 'readEntries'>) {
    this.#store = store;
  }

  /** A cursor is given out: who comes with it has what is stored here. */
  note({ ref }: JournalState, { position, proof }: Pick<ReadCursor, 'position' | 'proof'>): void {
    if (proof === undefined) return;
    const key = `${ref} ${position.epoch}-${position.sequence}`;
    this.#known.delete(key);
    if (this.#known.size >= KNOWN_MAX) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest);
    }
    this.#known.set(key, proof);
  }

  /** True the first time, for a log. */
  isNews({ ref }: JournalState, { epoch, sequence }: JournalPosition): boolean {
    const key = `${ref} ${epoch}-${sequence}`;
    if (this.#told.has(key)) return false;
    if (this.#told.size >= KNOWN_MAX) this.#told.clear();
    this.#told.add(key);
    return true;
  }

  /**
   * True where the reader is on another branch. False, too, where nobody can tell: its cursor has no proof, is beyond the end,
   * or the entry is cut off. `isOwn`: numbers of the journal have no holes. @throws CanopyError of the store.
   */
  async isOther(stored: JournalState, cursor: ReadCursor, isOwn: boolean): Promise<boolean> {
    const { position, proof } = cursor;
    const { ref } = stored;
    const isThere = comparePositions(position, stored.position) <= 0;
    const isCut = comparePositions(position, stored.trimmed) <= 0;
    // The store fell back under this process: what was given out before says nothing now.
    if (!isThere) this.#known.clear();
    if (proof === undefined || !isThere || isCut) return false;
    // Fast path: whoever pulls regularly comes with what it was given last, and nothing is read.
    if (this.#known.get(`${ref} ${position.epoch}-${position.sequence}`) === proof) return false;
    const before = { epoch: position.epoch, sequence: position.sequence - 1 };
    const [found] = await this.#store.readEntries(ref, before, ONE_ENTRY);
    if (found !== undefined && comparePositions(found, position) === 0) {
      const here = proofOf(found);
      const isOther = here !== undefined && here !== proof;
      if (!isOther) this.note(stored, cursor);
      return isOther;
    }
    // Its epoch ended before it; where later ones of it are there, this one is damaged.
    if (!isOwn || found === undefined || found.epoch === position.epoch) return false;
    const now = await this.#store.journal(ref);
    return now !== undefined && comparePositions(position, now.trimmed) > 0;
  }
}
