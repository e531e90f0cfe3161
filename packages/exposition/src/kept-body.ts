/**
 * The last body of one target, in a buffer of its own with a little room for growth.
 */
import type { WalkState } from './walk-state.js';

/** More room than twice the body and this is given back. Bytes. */
const ROOM_MAX = 4096;

export class KeptBody {
  /** The body. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Of the body and the room behind it. */
  view: DataView = new DataView(new ArrayBuffer(0));
  #room: Uint8Array = new Uint8Array(0);

  /** Copies `body`, of which the first `sameBytes` bytes are here already. */
  keep(body: Uint8Array, sameBytes: number): void {
    const size = body.length;
    let from = sameBytes;
    if (size > this.#room.length || this.#room.length > 2 * size + ROOM_MAX) {
      this.#room = new Uint8Array(size + (size >> 4));
      this.view = new DataView(this.#room.buffer);
      from = 0;
    }
    this.#room.set(body.subarray(from), from);
    this.bytes = this.#room.subarray(0, size);
  }

  /** Copies the new body of a walk in which every row had its place, and `changed…` says what differs. */
  keepChanged(walk: WalkState): void {
    const body = walk.newBody;
    const kept = this.#room;
    const { starts, prefixes, count } = walk.lines;
    const { changedCount, changedRows } = walk;
    const newStarts = walk.rows.starts;
    // Rows up to and with this one start where they did.
    let moved = count;
    for (let k = 0; k < changedCount; k++) {
      const row = changedRows[k];
      const length = starts[row + 1] - starts[row];
      if (newStarts[row + 1] - newStarts[row] !== length && row < moved) moved = row;
    }
    // Fast path: most values keep their length, so only their bytes are to be written.
    for (let k = 0; k < changedCount; k++) {
      const row = changedRows[k];
      if (row >= moved) continue;
      const end = starts[row + 1];
      for (let p = starts[row] + prefixes[row]; p < end; p++) kept[p] = body[p];
    }
    if (moved < count) this.keep(body, newStarts[moved]);
  }
}
