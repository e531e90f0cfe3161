/**
 * The sample lines of one body, as columns: what the next body is read beside. The n-th row is the n-th sample.
 */
const ROWS_MIN = 64;

export class SampleLines {
  count = 0;
  /** First byte of each line in its body. */
  starts = new Uint32Array(0);
  /** Bytes of each line, its newline included. */
  lengths = new Uint32Array(0);
  /** Bytes of the series at its start. */
  prefixes = new Uint32Array(0);
  values = new Float64Array(0);
  /** Ms since epoch, NaN for none; rows beyond its length have none. */
  times = new Float64Array(0);
  /** 1 where the line has an exemplar. */
  exemplars = new Uint8Array(0);
  /** Rows up to the last one with a time. */
  timedCount = 0;

  clear(): void {
    this.count = 0;
    this.timedCount = 0;
  }

  add(
    start: number,
    length: number,
    prefix: number,
    value: number,
    time: number,
    exemplar: number,
  ): void {
    const row = this.count;
    if (row === this.starts.length) this.#resize(Math.max(ROWS_MIN, 2 * row));
    this.count++;
    this.starts[row] = start;
    this.lengths[row] = length;
    this.prefixes[row] = prefix;
    this.values[row] = value;
    this.exemplars[row] = exemplar;
    this.times[row] = time;
    if (!Number.isNaN(time)) this.timedCount = row + 1;
  }

  timeOf(row: number): number {
    return row < this.timedCount ? this.times[row] : NaN;
  }

  /** Takes over the rows of `other`, with no room to spare. */
  copyFrom(other: SampleLines): void {
    const { count, timedCount } = other;
    this.count = count;
    this.timedCount = timedCount;
    this.starts = other.starts.slice(0, count);
    this.lengths = other.lengths.slice(0, count);
    this.prefixes = other.prefixes.slice(0, count);
    this.values = other.values.slice(0, count);
    this.times = other.times.slice(0, timedCount);
    this.exemplars = other.exemplars.slice(0, count);
  }

  /** Gives all memory back. */
  release(): void {
    this.count = 0;
    this.#resize(0);
  }

  #resize(size: number): void {
    const resized = <T extends Uint32Array | Float64Array | Uint8Array>(from: T, to: T): T => {
      to.set(from.subarray(0, Math.min(size, this.count)));
      return to;
    };
    this.starts = resized(this.starts, new Uint32Array(size));
    this.lengths = resized(this.lengths, new Uint32Array(size));
    this.prefixes = resized(this.prefixes, new Uint32Array(size));
    this.values = resized(this.values, new Float64Array(size));
    this.times = resized(this.times, new Float64Array(size));
    this.exemplars = resized(this.exemplars, new Uint8Array(size));
  }
}
