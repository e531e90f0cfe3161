/** The only place that knows the names of keys; keys.format.md lists them. */
import type { BlockId, JournalPosition, JournalRef, TileMeta } from '@canopy/model';

/** Keys of one journal share a hash tag, hence a cluster slot: a script may use all of them. */
export class RedisKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Set of the journals that may be there. */
  journals(): string {
    return `${this.#prefix}journals`;
  }

  document(name: string): string {
    return `${this.#prefix}document:${name}`;
  }

  state(ref: JournalRef): string {
    return this.#of(ref, 'state');
  }

  lease(ref: JournalRef): string {
    return this.#of(ref, 'lease');
  }

  slices(ref: JournalRef): string {
    return this.#of(ref, 'slices');
  }

  entries(ref: JournalRef, slice: number): string {
    return this.#of(ref, `entries:${slice}`);
  }

  layouts(ref: JournalRef): string {
    return this.#of(ref, 'layouts');
  }

  /** Set of the windows that have tiles. */
  windows(ref: JournalRef): string {
    return this.#of(ref, 'windows');
  }

  tiles(ref: JournalRef, window: number): string {
    return this.#of(ref, `tiles:${window}`);
  }

  extents(ref: JournalRef, window: number): string {
    return this.#of(ref, `extents:${window}`);
  }

  blocks(ref: JournalRef): string {
    return this.#of(ref, 'blocks');
  }

  chunk(ref: JournalRef, block: BlockId, chunk: number): string {
    return this.#of(ref, `block:${block}:${chunk}`);
  }

  #of(ref: JournalRef, what: string): string {
    return `${this.#prefix}{${ref}}:${what}`;
  }
}

/** `<epoch>-<sequence>`: also the id of a stream's entry. */
export const formatPosition = ({ epoch, sequence }: JournalPosition): string =>
  `${epoch}-${sequence}`;

export function parsePosition(text: string): JournalPosition {
  const dash = text.indexOf('-');
  return { epoch: Number(text.slice(0, dash)), sequence: Number(text.slice(dash + 1)) };
}

export const tileField = ({ epoch, group, firstSequence }: TileMeta): string =>
  `${epoch}-${group}-${firstSequence}`;

/** The three numbers of a layout's or tile's field. */
export function parseField(field: string): [epoch: number, group: number, sequence: number] {
  const [epoch, group, sequence] = field.split('-').map(Number);
  return [epoch, group, sequence];
}
