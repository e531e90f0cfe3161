/**
 * The walk of `src/walker.ts`, over windows of both bodies: AssemblyScript with SIMD. What it gives is
 * specified by the twin, `src/walker-twin.ts`; `src/walker.fuzz.ts` compares them. No memory but the
 * areas below, no state between calls. The host (`src/walker-wasm.ts`) reads the places of the areas
 * from the exports, fills windows, and takes results out.
 */
import { number, numberEnd, plainNumber } from './number';

/** Bytes of a window; a line that does not fit is left to the twin. */
export const WINDOW_SIZE: u32 = 65536;
/** Rows of the last body in one window. */
export const ROWS_MAX: u32 = 4096;
/** SIMD loads may reach this far beyond a window; the first byte holds a newline. */
const SLACK: u32 = 64;

/** Results of a call: u32 each, in the order of the RESULT_ constants. */
export const RESULTS_AT: u32 = 4096;
export const NEW_AT: u32 = RESULTS_AT + 64;
export const LAST_AT: u32 = NEW_AT + WINDOW_SIZE + SLACK;
/** u32: where rows of the last body start, in that body; one more than rows. */
export const STARTS_AT: u32 = LAST_AT + WINDOW_SIZE + SLACK;
/** u32: how long what stands before the values is, or a mark. */
export const PREFIXES_AT: u32 = STARTS_AT + 4 * ROWS_MAX + 64;
/** u32: where the rows walked start in the new body. */
export const NEW_STARTS_AT: u32 = PREFIXES_AT + 4 * ROWS_MAX;
/** u32, f64, f64: rows walked whose value or time differs, counted from the first one walked. */
export const CHANGED_ROWS_AT: u32 = NEW_STARTS_AT + 4 * ROWS_MAX;
export const CHANGED_VALUES_AT: u32 = CHANGED_ROWS_AT + 4 * ROWS_MAX;
export const CHANGED_TIMES_AT: u32 = CHANGED_VALUES_AT + 8 * ROWS_MAX;
/** u32: rows walked whose value the host must read. */
export const UNREAD_ROWS_AT: u32 = CHANGED_TIMES_AT + 8 * ROWS_MAX;
export const MEMORY_END: u32 = UNREAD_ROWS_AT + 4 * ROWS_MAX;

/** Raised when areas, arguments or results change their meaning. */
export const VERSION: u32 = 2;

const RESULT_NEXT: u32 = RESULTS_AT;
const RESULT_STOP: u32 = RESULTS_AT + 4;
const RESULT_CHANGED: u32 = RESULTS_AT + 8;
const RESULT_UNREAD: u32 = RESULTS_AT + 12;
const RESULT_COMMENTS: u32 = RESULTS_AT + 16;
/** How many of the changed rows have a time. */
const RESULT_TIMED: u32 = RESULTS_AT + 20;

/** Why a call ended. */
const STUCK: u32 = 0;
const BODY_END: u32 = 1;
const NEED_NEW: u32 = 2;
const NEED_LAST: u32 = 3;
const NEED_ROWS: u32 = 4;

/** Marks among prefixes (`src/line-table.ts`): no offset in a row is as large. */
const COMMENTS: u32 = 0xfffffffd;
const READ_IN_FULL: u32 = 0xfffffffe;

/** Number of equal bytes at `a` and `b`, at most `limit`. Reads up to 31 bytes beyond. */
function commonPrefix(a: u32, b: u32, limit: u32): u32 {
  let i: u32 = 0;
  while (i < limit) {
    const low = v128.eq<u8>(v128.load(a + i), v128.load(b + i));
    const high = v128.eq<u8>(v128.load(a + i, 16), v128.load(b + i, 16));
    if (!v128.all_true<u8>(v128.and(low, high))) {
      const mask: u32 = ((<u32>v128.bitmask<u8>(high)) << 16) | <u32>v128.bitmask<u8>(low);
      i += ctz(~mask);
      return i < limit ? i : limit;
    }
    i += 32;
  }
  return limit;
}

function isBlank(c: u32): bool {
  return c == 32 || c == 9;
}

/**
 * Walks from byte `p` of the new body and row `first` of the row window. Windows hold the new body from
 * `newBase` (`newSize` bytes; `isEnd` where it goes to the end) and the last one from `lastBase`.
 * Returns how many rows were walked.
 */
export function walk(
  p: u32,
  newBase: u32,
  newSize: u32,
  isEnd: bool,
  lastBase: u32,
  lastSize: u32,
  first: u32,
  rowCount: u32,
): u32 {
  const newEnd: u32 = NEW_AT + newSize;
  const lastEnd: u32 = LAST_AT + lastSize;
  const toBody: u32 = newBase - NEW_AT;
  const toLast: u32 = LAST_AT - lastBase;
  let at: u32 = p - toBody;
  let row: u32 = first;
  let changed: u32 = 0;
  let unread: u32 = 0;
  let comments: u32 = 0;
  let timed: u32 = 0;
  let stop: u32 = STUCK;
  let newStart: u32 = NEW_STARTS_AT;
  let start: u32 = load<u32>(STARTS_AT + (row << 2));
  while (true) {
    if (at == newEnd) {
      stop = isEnd ? BODY_END : NEED_NEW;
      break;
    }
    if (row == rowCount) {
      stop = NEED_ROWS;
      break;
    }
    const prefix = load<u32>(PREFIXES_AT + (row << 2));
    if (prefix == READ_IN_FULL) break;
    const end = load<u32>(STARTS_AT + (row << 2), 4);
    const length = end - start;
    const room = newEnd - at;
    let limit = length;
    if (length > room) {
      if (!isEnd) {
        stop = NEED_NEW;
        break;
      }
      limit = room;
    }
    const last = start + toLast;
    if (length > lastEnd - last) {
      stop = NEED_LAST;
      break;
    }
    const same = commonPrefix(at, last, limit);
    if (same == length) {
      store<u32>(newStart, at + toBody);
      newStart += 4;
      if (prefix == COMMENTS) comments++;
      at += length;
      start = end;
      row++;
      continue;
    }
    if (same < prefix) break;
    const valueAt = at + prefix;
    const c = <u32>load<u8>(valueAt);
    if (c == 123 || isBlank(c)) break;
    let lineEnd: u32 = 0;
    let time: f64 = NaN;
    if (plainNumber(valueAt)) {
      let q = numberEnd;
      while (isBlank(load<u8>(q))) q++;
      let d = <u32>load<u8>(q);
      if (d == 10) lineEnd = q;
      else {
        // A time: whole, at most 15 digits here.
        const timeAt = q;
        let t: u64 = 0;
        while (d - 48 <= 9 && q - timeAt <= 15) {
          t = t * 10 + <u64>(d - 48);
          d = load<u8>(++q);
        }
        if (q > timeAt && q - timeAt <= 15) {
          time = <f64>t;
          while (isBlank(d)) d = load<u8>(++q);
          if (d == 10) lineEnd = q;
        }
      }
    }
    const isRead = lineEnd != 0;
    if (!isRead) {
      lineEnd = valueAt;
      while (load<u8>(lineEnd) != 10) lineEnd++;
    }
    // The newline after the window stands for what is beyond it.
    if (lineEnd >= newEnd) {
      stop = NEED_NEW;
      break;
    }
    if (isRead) {
      store<u32>(CHANGED_ROWS_AT + (changed << 2), row - first);
      store<f64>(CHANGED_VALUES_AT + (changed << 3), number);
      store<f64>(CHANGED_TIMES_AT + (changed << 3), time);
      changed++;
      if (time == time) timed++;
    } else {
      store<u32>(UNREAD_ROWS_AT + (unread << 2), row - first);
      unread++;
    }
    store<u32>(newStart, at + toBody);
    newStart += 4;
    at = lineEnd + 1;
    start = end;
    row++;
  }
  store<u32>(RESULT_NEXT, at + toBody);
  store<u32>(RESULT_STOP, stop);
  store<u32>(RESULT_CHANGED, changed);
  store<u32>(RESULT_UNREAD, unread);
  store<u32>(RESULT_COMMENTS, comments);
  store<u32>(RESULT_TIMED, timed);
  return row - first;
}
