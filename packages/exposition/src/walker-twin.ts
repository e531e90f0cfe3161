/**
 * The walk in TypeScript: the specification of the kernel, the fallback where there is none, and what
 * walks lines that fit no window.
 */
import { commonPrefix } from './common-prefix.js';
import { readPlainNumber } from './float-text.js';
import { COMMENTS, READ_IN_FULL, ROWS_KEPT_MAX } from './line-table.js';
import { WalkState, type Walker } from './walk-state.js';

const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;
const BRACE_OPEN = 123;
/** Times with more digits are left unread; these are exact. */
const TIME_DIGITS_MAX = 15;

export class TwinWalker implements Walker {
  readonly kernel = 'typescript';
  readonly state = new WalkState();

  open(): void {}

  walk(p: number, row: number): void {
    this.state.begin(p);
    walkOn(this.state, row, this.state.lines.count);
  }

  close(): void {
    this.state.close(ROWS_KEPT_MAX);
  }
}

/** Goes on from `state.next` and row `firstRow`, up to before row `rowEnd`. */
export function walkOn(state: WalkState, firstRow: number, rowEnd: number): void {
  const { newBody, newView, lastView, rows } = state;
  const { starts, prefixes } = state.lines;
  const size = newBody.length;
  let p = state.next;
  let row = firstRow;
  for (; p < size && row < rowEnd; row++) {
    const prefix = prefixes[row];
    if (prefix === READ_IN_FULL) break;
    const start = starts[row];
    const length = starts[row + 1] - start;
    const limit = length <= size - p ? length : size - p;
    const same = commonPrefix(newView, p, lastView, start, limit);
    let next = p + length;
    if (same === length) {
      // Fast path: the whole row is as it was.
      if (prefix === COMMENTS) state.comments++;
    } else if (same >= prefix && isValue(newBody[p + prefix])) {
      // Fast path: the same series with another value.
      next = walkValue(state, p + prefix);
    } else {
      break;
    }
    rows.reserve(state.walked + 1);
    rows.starts[rows.count + state.walked++] = p;
    p = next;
  }
  state.next = p;
}

/** Whether the byte where the value was is part of a value still, not of the series. */
const isValue = (c: number): boolean => c !== BRACE_OPEN && c !== SPACE && c !== TAB;

/** Reads what stands from the value at `start` on; returns the offset of the next line. */
function walkValue(state: WalkState, start: number): number {
  const body = state.newBody;
  let p = readPlainNumber(body, start, PLAIN);
  if (p >= 0) {
    p = skipBlanks(body, p);
    if (body[p] === NEWLINE) {
      state.addChanged(state.walked, PLAIN.value, NaN);
      return p + 1;
    }
    const timeStart = p;
    let time = 0;
    for (let c = body[p]; c >= 48 && c <= 57; c = body[++p]) time = time * 10 + (c - 48);
    const digits = p - timeStart;
    p = skipBlanks(body, p);
    if (digits > 0 && digits <= TIME_DIGITS_MAX && body[p] === NEWLINE) {
      state.addChanged(state.walked, PLAIN.value, time);
      return p + 1;
    }
  }
  state.addUnread(state.walked);
  return body.indexOf(NEWLINE, start) + 1;
}

const PLAIN = { value: 0 };

function skipBlanks(body: Uint8Array, start: number): number {
  let p = start;
  while (body[p] === SPACE || body[p] === TAB) p++;
  return p;
}
