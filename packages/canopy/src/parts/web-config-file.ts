/**
 * The guard of our own HTTP server, read from the file of `--web.config.file` and again whenever that file or one it
 * names has changed: looked at with each connection and each request, as Prometheus does. What cannot
 * be used, such as a certificate without its new key yet, leaves in use what was read before.
 */
import { readFileSync, statSync } from 'node:fs';
import { CanopyError, errorText } from '@canopy/model';
import type { Guard } from '@canopy/web';
import { type LoadedWebConfig, loadWebConfig } from '../config/web-config.js';
import type { Log } from '../log.js';

export class WebConfigFile {
  readonly #path: string;
  readonly #log: Log;
  #loaded: LoadedWebConfig;
  /** File → what it was like just before it was read. */
  #stamps = new Map<string, string>();
  #problem = '';

  /** @throws CanopyError `config_invalid`. */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#loaded = this.#load();
    for (const notice of this.#loaded.notices) log('warn', `${path}: no effect: ${notice}`);
  }

  /** Why what is in the files now is not in use; '' where it is. */
  get problem(): string {
    return this.#problem;
  }

  get guard(): Guard {
    for (const [file, stamp] of this.#stamps) {
      if (stampOf(file) === stamp) continue;
      this.#reload();
      break;
    }
    return this.#loaded.guard;
  }

  #load(): LoadedWebConfig {
    // Where it fails, files that were not reached are still those of before.
    const stamps = new Map(this.#stamps);
    this.#stamps = stamps;
    const read = new Set<string>();
    const loaded = loadWebConfig(this.#path, (file) => {
      read.add(file);
      stamps.set(file, stampOf(file));
      return readFileSync(file, 'utf8');
    });
    for (const file of stamps.keys()) if (!read.has(file)) stamps.delete(file);
    return loaded;
  }

  #reload(): void {
    const log = this.#log;
    const path = this.#path;
    try {
      const next = this.#load();
      if ((next.guard.tls === undefined) !== (this.#loaded.guard.tls === undefined)) {
        throw new CanopyError('config_invalid', 'TLS is turned on and off by a restart only');
      }
      this.#loaded = next;
      this.#problem = '';
      log('info', 'the web configuration was read anew', { file: path });
    } catch (error) {
      this.#problem = errorText(error);
      log('error', 'the web configuration cannot be used; the one read before is', {
        file: path,
        error: this.#problem,
      });
    }
  }
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
  } catch {
    return 'gone';
  }
}
