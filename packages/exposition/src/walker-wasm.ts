/**
 * The walk by the WebAssembly kernel (`kernel/walk.ts`). Its memory is fixed; bodies live in ordinary
 * buffers and pass through it in windows.
 */
import { readFileSync } from 'node:fs';
import { type WasmKernel, loadKernel } from '@canopy/model';
import { ROWS_KEPT_MAX } from './line-table.js';
import { WalkState, type Walker } from './walk-state.js';
import { walkOn } from './walker-twin.js';

/** Beside the sources and beside what is compiled from them alike. */
const KERNEL = new URL('../dist/kernel.wasm', import.meta.url);
const VERSION = 2;

/** Results of a call, as in `kernel/walk.ts`. */
const Result = { next: 0, stop: 1, changed: 2, unread: 3, comments: 4, timed: 5 } as const;
const Stop = { stuck: 0, bodyEnd: 1, needNew: 2, needLast: 3, needRows: 4 } as const;

export interface WasmWalkerOptions {
  /** Most bytes of a window, at most what the kernel has. */
  readonly windowMax: number;
  /** Bytes of the first window after a jump; each further one is twice as large. */
  readonly windowMin: number;
  /** After a jump out of the windows, this many rows are walked without the kernel. */
  readonly rowsBefore: number;
}

/** Larger windows are no faster; smaller ones fit the processor's cache less tightly than they cost calls. */
export const USUAL_WINDOWS: WasmWalkerOptions = {
  windowMax: 1 << 18,
  windowMin: 4096,
  rowsBefore: 16,
};
/** Rows are expected to be at least this long; shorter ones cost a call more. */
const ROW_BYTES_EXPECTED = 32;
const NEWLINE = 10;

interface KernelExports {
  walk(
    p: number,
    newBase: number,
    newSize: number,
    isEnd: number,
    lastBase: number,
    lastSize: number,
    first: number,
    rowCount: number,
  ): number;
}

/** A walker over the kernel, or why there is none, in words. `read` gives the kernel's bytes. */
export function loadWasmWalker(
  options = USUAL_WINDOWS,
  read: () => Uint8Array = () => readFileSync(KERNEL),
): WasmWalker | string {
  return loadKernel<KernelExports, WasmWalker>(
    read,
    VERSION,
    (kernel) => new WasmWalker(kernel, options),
  );
}

export class WasmWalker implements Walker {
  readonly kernel = 'wasm';
  readonly state = new WalkState();
  readonly #exports: KernelExports;
  readonly #options: WasmWalkerOptions;
  readonly #windowMax: number;
  readonly #rowsMax: number;
  readonly #results: Uint32Array;
  readonly #newBytes: Uint8Array;
  readonly #lastBytes: Uint8Array;
  readonly #starts: Uint32Array;
  readonly #prefixes: Uint32Array;
  readonly #newStarts: Uint32Array;
  readonly #changedRows: Uint32Array;
  readonly #changedValues: Float64Array;
  readonly #changedTimes: Float64Array;
  readonly #unreadRows: Uint32Array;

  /** What the windows hold: bytes of the new body, bytes and rows of the last one. */
  #newBase = 0;
  #newSize = 0;
  #lastBase = 0;
  #lastSize = 0;
  #rowBase = 0;
  #rowCount = 0;
  /** Bytes of the next window. */
  #window = 0;
  #isFirst = true;

  constructor(kernel: WasmKernel<KernelExports>, options: WasmWalkerOptions) {
    const { memory: buffer, constant } = kernel;
    this.#exports = kernel.exports;
    this.#options = options;
    this.#windowMax = Math.min(constant('WINDOW_SIZE'), options.windowMax);
    this.#rowsMax = constant('ROWS_MAX');
    const max = this.#rowsMax;
    this.#results = new Uint32Array(buffer, constant('RESULTS_AT'), 16);
    // One more byte: the newline that stands for what is beyond the window.
    this.#newBytes = new Uint8Array(buffer, constant('NEW_AT'), this.#windowMax + 1);
    this.#lastBytes = new Uint8Array(buffer, constant('LAST_AT'), this.#windowMax);
    this.#starts = new Uint32Array(buffer, constant('STARTS_AT'), max + 1);
    this.#prefixes = new Uint32Array(buffer, constant('PREFIXES_AT'), max);
    this.#newStarts = new Uint32Array(buffer, constant('NEW_STARTS_AT'), max);
    this.#changedRows = new Uint32Array(buffer, constant('CHANGED_ROWS_AT'), max);
    this.#changedValues = new Float64Array(buffer, constant('CHANGED_VALUES_AT'), max);
    this.#changedTimes = new Float64Array(buffer, constant('CHANGED_TIMES_AT'), max);
    this.#unreadRows = new Uint32Array(buffer, constant('UNREAD_ROWS_AT'), max);
  }

  open(): void {
    this.#newSize = 0;
    this.#lastSize = 0;
    this.#rowCount = 0;
    this.#window = this.#windowMax;
    this.#isFirst = true;
  }

  close(): void {
    this.state.close(ROWS_KEPT_MAX);
  }

  walk(p: number, firstRow: number): void {
    const { state } = this;
    state.begin(p);
    if (this.#isFirst || this.#holds(p, firstRow)) {
      this.#isFirst = false;
      this.#walkWindows(firstRow);
      return;
    }
    // Where lines keep being elsewhere, filling windows would cost more than reading them.
    const { rowsBefore, windowMin } = this.#options;
    const rowEnd = Math.min(firstRow + rowsBefore, state.lines.count);
    walkOn(state, firstRow, rowEnd);
    if (firstRow + state.walked < rowEnd) return;
    this.#window = windowMin;
    this.#walkWindows(firstRow);
  }

  #holds(p: number, row: number): boolean {
    if (!within(p, this.#newBase, this.#newSize)) return false;
    if (!within(row, this.#rowBase, this.#rowCount)) return false;
    return within(this.state.lines.starts[row], this.#lastBase, this.#lastSize);
  }

  #walkWindows(firstRow: number): void {
    const { state } = this;
    const { count, starts } = state.lines;
    const size = state.newBody.length;
    for (;;) {
      const row = firstRow + state.walked;
      const p = state.next;
      if (row === count || p === size) return;
      if (!within(p, this.#newBase, this.#newSize)) this.#loadNew(p);
      if (!within(row, this.#rowBase, this.#rowCount)) this.#loadRows(row);
      if (!within(starts[row], this.#lastBase, this.#lastSize)) this.#loadLast(starts[row]);
      const stop = this.#walkWindow(row);
      if (stop === Stop.stuck) return;
      const isNew = stop === Stop.needNew;
      if (!isNew && stop !== Stop.needLast) continue;
      const at = isNew ? state.next : starts[firstRow + state.walked];
      const isFull = isNew
        ? at === this.#newBase && this.#newSize === this.#windowMax
        : at === this.#lastBase && this.#lastSize === this.#windowMax;
      if (isFull) {
        const { walked } = state;
        walkOn(state, firstRow + walked, firstRow + walked + 1);
        if (state.walked === walked) return;
      } else if (isNew) this.#newSize = 0;
      else this.#lastSize = 0;
    }
  }

  /** Walks what the windows hold, from row `row` on; returns why it ended. */
  #walkWindow(row: number): number {
    const { state } = this;
    const newEnd = this.#newBase + this.#newSize;
    const walked = this.#exports.walk(
      state.next,
      this.#newBase,
      this.#newSize,
      newEnd === state.newBody.length ? 1 : 0,
      this.#lastBase,
      this.#lastSize,
      row - this.#rowBase,
      this.#rowCount,
    );
    const results = this.#results;
    if (walked > 0) {
      const { rows } = state;
      rows.reserve(state.walked + walked);
      rows.starts.set(this.#newStarts.subarray(0, walked), rows.count + state.walked);
      this.#takeChanges();
      state.walked += walked;
      state.comments += results[Result.comments];
      state.next = results[Result.next];
    }
    return results[Result.stop];
  }

  #takeChanges(): void {
    const { state } = this;
    const results = this.#results;
    const changed = results[Result.changed];
    state.reserveChanges(changed);
    const first = state.walked;
    const at = state.changedCount;
    const from = this.#changedRows;
    const to = state.changedRows;
    for (let i = 0; i < changed; i++) to[at + i] = first + from[i];
    state.changedValues.set(this.#changedValues.subarray(0, changed), at);
    if (results[Result.timed] > 0 && !state.timed) {
      state.changedTimes.fill(NaN, 0, at);
      state.timed = true;
    }
    if (state.timed) state.changedTimes.set(this.#changedTimes.subarray(0, changed), at);
    state.changedCount = at + changed;
    const unread = results[Result.unread];
    for (let i = 0; i < unread; i++) state.addUnread(first + this.#unreadRows[i]);
  }

  #loadNew(at: number): void {
    const body = this.state.newBody;
    this.#newBase = at;
    this.#newSize = Math.min(this.#nextWindow(), body.length - at);
    this.#newBytes.set(body.subarray(at, at + this.#newSize));
    this.#newBytes[this.#newSize] = NEWLINE;
  }

  #loadLast(at: number): void {
    const body = this.state.lastBody;
    this.#lastBase = at;
    this.#lastSize = Math.min(this.#nextWindow(), body.length - at);
    this.#lastBytes.set(body.subarray(at, at + this.#lastSize));
  }

  #loadRows(row: number): void {
    const { starts, prefixes, count } = this.state.lines;
    const rowsMax = Math.min(this.#rowsMax, Math.ceil(this.#window / ROW_BYTES_EXPECTED));
    this.#rowBase = row;
    this.#rowCount = Math.min(rowsMax, count - row);
    this.#starts.set(starts.subarray(row, row + this.#rowCount + 1));
    this.#prefixes.set(prefixes.subarray(row, row + this.#rowCount));
  }

  /** Bytes to load into a window: twice as many each time. */
  #nextWindow(): number {
    const size = this.#window;
    this.#window = Math.min(2 * size, this.#windowMax);
    return size;
  }
}

const within = (at: number, base: number, size: number): boolean => at >= base && at < base + size;
