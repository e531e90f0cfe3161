/**
 * Targets in files: read again when a file changes and, where watching misses that, after the refresh interval.
 */
import { type FSWatcher, watch } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CanopyError, type Clock, type Timer, asDuration, errorText, sleep } from '@canopy/model';
import type { FileSdConfig, TargetGroup } from '../config.js';
import type { Discovery, DiscoveryReport, DiscoveryRun } from './discovery.js';
import { TARGET_FILE_BYTES_MAX, parseTargetFileInSteps } from './target-file.js';

/** Editors write in several steps: one reading for all of them. */
const SETTLE = asDuration(100);

export class FileDiscovery implements Discovery {
  readonly #config: FileSdConfig;
  readonly #clock: Clock;
  readonly #report: DiscoveryReport;

  constructor(config: FileSdConfig, clock: Clock, report: DiscoveryReport) {
    this.#config = config;
    this.#clock = clock;
    this.#report = report;
  }

  start(onGroups: (groups: readonly TargetGroup[]) => void): DiscoveryRun {
    const run = new FileRun(this.#config, this.#clock, this.#report, onGroups);
    run.start();
    return run;
  }
}

interface KnownFile {
  readonly text: string;
  /** Of the last text that could be read. */
  readonly groups: readonly TargetGroup[];
}

class FileRun implements DiscoveryRun {
  readonly #config: FileSdConfig;
  readonly #clock: Clock;
  readonly #report: DiscoveryReport;
  readonly #onGroups: (groups: readonly TargetGroup[]) => void;
  #files = new Map<string, KnownFile>();
  #last: string | undefined;
  #watchers: FSWatcher[] = [];
  #timer: Timer | undefined;
  #settle: Timer | undefined;
  #reading = false;
  #again = false;
  #stopped = false;

  constructor(
    config: FileSdConfig,
    clock: Clock,
    report: DiscoveryReport,
    onGroups: (groups: readonly TargetGroup[]) => void,
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#report = report;
    this.#onGroups = onGroups;
  }

  start(): void {
    for (const folder of new Set(this.#config.files.map((pattern) => dirname(pattern)))) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#onChange());
        watcher.on('error', () => watcher.close());
        this.#watchers.push(watcher);
      } catch {
        // No such folder yet, or no watches left: the refresh interval finds the file.
      }
    }
    void this.#refresh();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#settle?.cancel();
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
  }

  #onChange(): void {
    this.#settle?.cancel();
    if (!this.#stopped) this.#settle = this.#clock.after(SETTLE, () => void this.#refresh());
  }

  async #refresh(): Promise<void> {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    this.#timer?.cancel();
    do {
      this.#again = false;
      await this.#readAll();
    } while (this.#again && !this.#stopped);
    this.#reading = false;
    if (this.#stopped) return;
    this.#timer = this.#clock.after(this.#config.refreshInterval, () => void this.#refresh());
  }

  async #readAll(): Promise<void> {
    const files = new Map<string, KnownFile>();
    for (const pattern of this.#config.files) {
      for (const path of await this.#expand(pattern)) {
        if (files.has(path)) continue;
        const file = await this.#read(path);
        if (file !== undefined) files.set(path, file);
      }
    }
    this.#files = files;
    const groups = [...files.values()].flatMap((file) => file.groups);
    const summary = JSON.stringify(groups);
    if (this.#stopped || summary === this.#last) return;
    this.#last = summary;
    this.#onGroups(groups);
  }

  /** Paths that a pattern stands for, sorted. */
  async #expand(pattern: string): Promise<string[]> {
    const name = basename(pattern);
    if (!name.includes('*')) return [pattern];
    const folder = dirname(pattern);
    try {
      const names = await readdir(folder);
      return names
        .filter((entry) => matchesWildcard(entry, name))
        .sort()
        .map((entry) => join(folder, entry));
    } catch (error) {
      this.#report('cannot list target files', { pattern, error: errorText(error) });
      // What was known of this folder stays.
      return [...this.#files.keys()].filter((path) => dirname(path) === folder);
    }
  }

  /** Undefined where the file is gone; the last good content where it is broken. */
  async #read(path: string): Promise<KnownFile | undefined> {
    const known = this.#files.get(path);
    let text = '';
    try {
      const { size } = await stat(path);
      if (size > TARGET_FILE_BYTES_MAX) {
        throw new CanopyError('limit', `${path}: larger than ${TARGET_FILE_BYTES_MAX} bytes`);
      }
      text = await readFile(path, 'utf8');
      if (text === known?.text) return known;
      const pause = (): Promise<void> => sleep(this.#clock, asDuration(0));
      return { text, groups: await parseTargetFileInSteps(path, text, pause) };
    } catch (error) {
      const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      this.#report(gone ? 'target file is not there' : 'cannot read target file', {
        file: path,
        error: errorText(error),
      });
      if (gone) return undefined;
      // Remembered with the broken text: it is reported once, not at every refresh.
      return { text, groups: known?.groups ?? [] };
    }
  }
}

/** `*` stands for any run of characters, as in file_sd_configs; no other wildcard. */
function matchesWildcard(name: string, pattern: string): boolean {
  const [head, ...rest] = pattern.split('*');
  // Hidden files are for editors.
  if (!name.startsWith(head) || (head === '' && name.startsWith('.'))) return false;
  let at = head.length;
  for (const part of rest.slice(0, -1)) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  const tail = rest[rest.length - 1];
  return name.length - at >= tail.length && name.endsWith(tail);
}
