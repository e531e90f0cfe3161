/**
 * The queries being worked out, in a file that outlives the process: what was there when it died is
 * told at the next start, as Prometheus does with its `queries.active`. One line of 1,000 bytes for
 * each query that may run: JSON `{"query":…,"timestamp_sec":…}`, filled up with blanks.
 */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type Clock, errorText } from '@canopy/model';
import type { ActiveQueries } from '@canopy/promql';
import type { Log } from '../log.js';

const LINE_BYTES = 1000;
const BLANK = Buffer.from(`${' '.repeat(LINE_BYTES - 1)}\n`);
/** What is read of a file that somebody else may have put there. */
const READ_BYTES_MAX = 1000 * LINE_BYTES;
const NO_LINE = -1;

export class ActiveQueryLog implements ActiveQueries {
  /** Undefined once closed: its number may be another file's then. */
  #file: number | undefined;
  readonly #clock: Clock;
  readonly #free: number[];

  private constructor(file: number, lines: number, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    this.#free = Array.from({ length: lines }, (_none, i) => i);
  }

  /**
   * Tells what the file holds of an earlier process and begins anew. `lines`: queries at once.
   * Undefined, with a warning, where the file cannot be written: queries are answered without it.
   */
  static open(path: string, lines: number, clock: Clock, log: Log): ActiveQueryLog | undefined {
    try {
      if (existsSync(path)) tellUnfinished(readFileSync(path), log);
      mkdirSync(dirname(path), { recursive: true });
      const file = openSync(path, 'w', 0o600);
      for (let line = 0; line < lines; line++) writeSync(file, BLANK);
      return new ActiveQueryLog(file, lines, clock);
    } catch (error) {
      log('warn', 'queries are not noted: the file cannot be used', {
        file: path,
        error: errorText(error),
      });
      return undefined;
    }
  }

  begin(query: string): number {
    const line = this.#free.pop() ?? NO_LINE;
    this.#write(line, entryOf(query, Math.floor(this.#clock.now() / 1000)));
    return line;
  }

  end(line: number): void {
    if (line === NO_LINE) return;
    this.#write(line, BLANK);
    this.#free.push(line);
  }

  /** Nothing of it is told at the next start. */
  close(): void {
    if (this.#file === undefined) return;
    const file = this.#file;
    this.#file = undefined;
    ftruncateSync(file, 0);
    closeSync(file);
  }

  #write(line: number, bytes: Buffer): void {
    if (line === NO_LINE || this.#file === undefined) return;
    try {
      // Not synced: it must outlive the process, not the machine.
      writeSync(this.#file, bytes, 0, LINE_BYTES, line * LINE_BYTES);
    } catch {
      // A full disk stops no query.
    }
  }
}

/** The query is cut off where it does not fit. */
function entryOf(query: string, timestamp: number): Buffer {
  const line = Buffer.from(BLANK);
  let text = query.slice(0, LINE_BYTES);
  for (;;) {
    const json = JSON.stringify({ query: text, timestamp_sec: timestamp });
    const length = Buffer.byteLength(json);
    if (length < LINE_BYTES) {
      line.write(json);
      return line;
    }
    // One character takes six bytes of JSON at most.
    text = text.slice(0, text.length - Math.ceil((length - LINE_BYTES + 1) / 6));
  }
}

function tellUnfinished(bytes: Buffer, log: Log): void {
  const lines = bytes.subarray(0, READ_BYTES_MAX).toString().split('\n');
  const queries = lines.flatMap((line) => {
    try {
      const { query, timestamp_sec } = JSON.parse(line) as Record<string, unknown>;
      return typeof query === 'string' ? [{ query, timestamp_sec }] : [];
    } catch {
      return [];
    }
  });
  if (queries.length === 0) return;
  log('warn', 'these queries did not finish: the process before this one ended amid them', {
    queries,
  });
}
