/**
 * The lines of one body, as columns. Consecutive lines that are no samples share a row, so that there are at
 * most twice as many rows, and one, as samples.
 */

/** Entry of rows that are no samples: HELP, TYPE, comments, blank lines. */
export const NO_SAMPLE = -1;
/** Entry of rows that must be read in full when they come again. */
export const READ_AGAIN = -2;

const ROWS_MIN = 64;
/** Prefixes that no value is at. The value is not apart from the name: the row can be equal as a whole only. */
export const VALUE_NOT_APART = 0xffffffff;
/** The row must be read in full when it comes again. */
export const READ_IN_FULL = 0xfffffffe;
/** The row is no sample. Equal ones need not be read again. */
export const COMMENTS = 0xfffffffd;

/** Tables that all parsers share give back room for more rows than this after the body that needed it. */
export const ROWS_KEPT_MAX = 1 << 20;

export class LineTable {
  count = 0;
  /** First byte of each row; `starts[count]` is the end of the body. */
  starts = new Uint32Array(0);
  /** Series entry, or NO_SAMPLE, or READ_AGAIN. */
  entries = new Int32Array(0);
  /** Length of what stands before the value, blanks included; or VALUE_NOT_APART, READ_IN_FULL, COMMENTS. */
  prefixes = new Uint32Array(0);
  values = new Float64Array(0);
  /** Ms since epoch, NaN for none. Valid where `timed`. */
  times = new Float64Array(0);
  /** Whether any row has a time of its own. */
  timed = false;

  clear(): void {
    this.count = 0;
    this.timed = false;
  }

  /** Whether the last row is no sample. */
  get endsInComments(): boolean {
    return this.count > 0 && this.entries[this.count - 1] === NO_SAMPLE;
  }

  /** Makes room for `more` rows and the end. */
  reserve(more: number): void {
    const needed = this.count + more + 1;
    if (needed <= this.starts.length) return;
    const size = Math.max(ROWS_MIN, needed, this.starts.length * 2);
    this.starts = grown(this.starts, new Uint32Array(size));
    this.entries = grown(this.entries, new Int32Array(size));
    this.prefixes = grown(this.prefixes, new Uint32Array(size));
    this.values = grown(this.values, new Float64Array(size));
    this.times = grown(this.times, new Float64Array(size));
  }

  setTime(row: number, time: number): void {
    if (!this.timed) {
      if (Number.isNaN(time)) return;
      this.times.fill(NaN, 0, this.count);
      this.timed = true;
    }
    this.times[row] = time;
  }

  /** Adds rows `first` to `first + more` of `other`, whose starts are here already. */
  addRows(other: LineTable, first: number, more: number): void {
    const { count } = this;
    this.entries.set(other.entries.subarray(first, first + more), count);
    this.prefixes.set(other.prefixes.subarray(first, first + more), count);
    this.values.set(other.values.subarray(first, first + more), count);
    if (other.timed && !this.timed) {
      this.times.fill(NaN, 0, count);
      this.timed = true;
    }
    if (other.timed) this.times.set(other.times.subarray(first, first + more), count);
    else if (this.timed) this.times.fill(NaN, count, count + more);
    this.count = count + more;
  }

  /** Gives all memory back. */
  release(): void {
    this.clear();
    this.starts = new Uint32Array(0);
    this.entries = new Int32Array(0);
    this.prefixes = new Uint32Array(0);
    this.values = new Float64Array(0);
    this.times = new Float64Array(0);
  }

  /** Takes over the rows of `other`, with little room to spare. */
  copyFrom(other: LineTable): void {
    const { count } = other;
    if (this.starts.length < count + 1 || this.starts.length > 2 * count + ROWS_MIN) {
      const size = count + 1 + (count >> 4);
      this.starts = new Uint32Array(size);
      this.entries = new Int32Array(size);
      this.prefixes = new Uint32Array(size);
      this.values = new Float64Array(size);
      this.times = new Float64Array(0);
    }
    this.count = count;
    this.timed = other.timed;
    this.starts.set(other.starts.subarray(0, count + 1));
    this.entries.set(other.entries.subarray(0, count));
    this.prefixes.set(other.prefixes.subarray(0, count));
    this.values.set(other.values.subarray(0, count));
    if (!other.timed) return;
    if (this.times.length < count) this.times = new Float64Array(this.starts.length);
    this.times.set(other.times.subarray(0, count));
  }
}

function grown<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
