/**
 * The walk of a new body beside the last one: what it is over, and what a call of `Walker.walk` found.
 */
import { LineTable } from './line-table.js';

const CHANGES_MIN = 64;
const NO_BYTES: Uint8Array = new Uint8Array(0);
const NO_VIEW: DataView = new DataView(new ArrayBuffer(0));
const NO_LINES = new LineTable();

/**
 * Walks lines of a new body beside those of the last one, as long as each line is the same but for value and
 * time. There are two: `TwinWalker` is the specification, `WasmWalker` its match. Both find the same
 * rows; which of the values they leave unread is their own choice. Shared by all parsers of the
 * process: reading a body is one synchronous call.
 */
export interface Walker {
  readonly kernel: 'wasm' | 'typescript';
  readonly state: WalkState;
  /** Makes the fields of `state` that say what the walk is over count. */
  open(): void;
  /**
   * Goes on from byte `p` of the new body, which is less than its length, and row `row` of the last.
   * Ends before a line that is to be read in full, after the last row, or with the body; `state`
   * says what was found.
   */
  walk(p: number, row: number): void;
  /** Lets go of the bodies. */
  close(): void;
}

export class WalkState {
  /** As `terminated` made it. */
  newBody = NO_BYTES;
  newView = NO_VIEW;
  /** Not empty where `lines` has rows. */
  lastBody = NO_BYTES;
  lastView = NO_VIEW;
  /** Rows of the last body. */
  lines = NO_LINES;
  /** Rows of the new body: a walk writes their `starts` from index `count` on, and nothing else. */
  rows = NO_LINES;

  /** Rows walked by this call, how many of them are comments, and the byte after them. */
  walked = 0;
  comments = 0;
  next = 0;
  /** Rows with another value or time, counted from the first one walked, each once. */
  changedCount = 0;
  changedRows: Uint32Array = new Uint32Array(CHANGES_MIN);
  changedValues: Float64Array = new Float64Array(CHANGES_MIN);
  /** Ms since epoch, NaN for none. Valid where `timed`. */
  changedTimes: Float64Array = new Float64Array(CHANGES_MIN);
  /** Whether any of `changedTimes` is a time. */
  timed = false;
  /** Rows whose series is known and whose value and time are still to be read, in order. */
  unreadCount = 0;
  unreadRows: Uint32Array = new Uint32Array(CHANGES_MIN);

  /** Starts a call of `walk` at byte `p`. */
  begin(p: number): void {
    this.walked = 0;
    this.comments = 0;
    this.next = p;
    this.changedCount = 0;
    this.timed = false;
    this.unreadCount = 0;
  }

  addChanged(row: number, value: number, time: number): void {
    const at = this.changedCount++;
    if (at === this.changedRows.length) this.reserveChanges(1);
    this.changedRows[at] = row;
    this.changedValues[at] = value;
    if (!Number.isNaN(time) && !this.timed) {
      this.changedTimes.fill(NaN, 0, at);
      this.timed = true;
    }
    if (this.timed) this.changedTimes[at] = time;
  }

  addUnread(row: number): void {
    this.reserveUnread(1);
    this.unreadRows[this.unreadCount++] = row;
  }

  reserveChanges(more: number): void {
    const size = this.changedCount + more;
    if (size <= this.changedRows.length) return;
    this.changedRows = larger(this.changedRows, size);
    this.changedValues = larger(this.changedValues, size);
    this.changedTimes = larger(this.changedTimes, size);
  }

  reserveUnread(more: number): void {
    const size = this.unreadCount + more;
    if (size > this.unreadRows.length) this.unreadRows = larger(this.unreadRows, size);
  }

  /** Lets go of the bodies, and of room for more than `rowsMax` changes. */
  close(rowsMax: number): void {
    this.newBody = NO_BYTES;
    this.newView = NO_VIEW;
    this.lastBody = NO_BYTES;
    this.lastView = NO_VIEW;
    this.lines = NO_LINES;
    this.rows = NO_LINES;
    if (this.changedRows.length > rowsMax) {
      this.changedRows = new Uint32Array(CHANGES_MIN);
      this.changedValues = new Float64Array(CHANGES_MIN);
      this.changedTimes = new Float64Array(CHANGES_MIN);
    }
    if (this.unreadRows.length > rowsMax) this.unreadRows = new Uint32Array(CHANGES_MIN);
  }
}

function larger<T extends Uint32Array | Float64Array>(from: T, sizeMin: number): T {
  const size = Math.max(sizeMin, from.length * 2);
  const to = new (from.constructor as new (size: number) => T)(size);
  to.set(from);
  return to;
}
