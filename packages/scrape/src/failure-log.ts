/**
 * `scrape_failure_log_file`: failed scrapes as JSON lines. A file is opened for each write, so it may
 * be moved away at any time.
 */
import { appendFile } from 'node:fs/promises';
import { errorText } from '@canopy/model';
import type { ScrapeLog } from './log.js';

/** Lines of one file that wait for the disk; more are dropped and counted. */
const WAITING_MAX = 1000;

interface LogFile {
  waiting: string[];
  writing: Promise<void> | undefined;
  /** Whether the last write failed: a broken disk is said once. */
  failing: boolean;
}

export class FailureLog {
  readonly #log: ScrapeLog;
  readonly #files = new Map<string, LogFile>();
  /** Lines that were not written. */
  dropped = 0;

  constructor(log: ScrapeLog) {
    this.#log = log;
  }

  write(path: string, fields: Readonly<Record<string, string>>): void {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = { waiting: [], writing: undefined, failing: false };
      this.#files.set(path, file);
    }
    if (file.waiting.length >= WAITING_MAX) {
      this.dropped++;
      return;
    }
    file.waiting.push(`${JSON.stringify(fields)}\n`);
    file.writing ??= this.#drain(path, file).finally(() => {
      file.writing = undefined;
      // A new configuration may name other files.
      if (!file.failing) this.#files.delete(path);
    });
  }

  /** Resolves when everything is written or dropped. */
  async flush(): Promise<void> {
    await Promise.all([...this.#files.values()].map(({ writing }) => writing));
  }

  async #drain(path: string, file: LogFile): Promise<void> {
    while (file.waiting.length > 0) {
      const lines = file.waiting;
      file.waiting = [];
      try {
        await appendFile(path, lines.join(''));
        file.failing = false;
      } catch (error) {
        this.dropped += lines.length;
        const fields = { path, error: errorText(error) };
        if (!file.failing) this.#log('error', 'scrape failures cannot be logged', fields);
        file.failing = true;
      }
    }
  }
}
