/**
 * Texts that stand in files and may change while the process runs: passwords, tokens, certificates.
 */
import { readFile, stat } from 'node:fs/promises';
import { CanopyError, type Clock } from '@canopy/model';
import type { TextSource } from '../config.js';

/** A file is looked at again after this long. Milliseconds. */
const LOOK_AFTER = 1000;
/** A certificate bundle is a few hundred KB. */
const FILE_BYTES_MAX = 16 << 20;
/** Files remembered; then all are read anew. */
const FILES_MAX = 10_000;

interface Known {
  readonly lookedAt: number;
  readonly stamp: string;
  readonly text: string;
}

/** Reads files, at most one look a second each, and again only where the look shows a change. */
export class FileTexts {
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The text, white space around it removed.
   * @throws CanopyError `unavailable` where the file cannot be read now, whatever was read before.
   */
  async read(source: TextSource): Promise<string> {
    if (typeof source === 'string') return source;
    const { file } = source;
    const now = this.#clock.monotonic();
    const known = this.#known.get(file);
    if (known !== undefined && now - known.lookedAt < LOOK_AFTER) return known.text;
    try {
      const { mtimeMs, ctimeMs, size, ino } = await stat(file);
      if (size > FILE_BYTES_MAX) throw new Error(`larger than ${FILE_BYTES_MAX} bytes`);
      const stamp = `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
      const text = known?.stamp === stamp ? known.text : (await readFile(file, 'utf8')).trim();
      if (this.#known.size >= FILES_MAX) this.#known.clear();
      this.#known.set(file, { lookedAt: now, stamp, text });
      return text;
    } catch (error) {
      this.#known.delete(file);
      throw new CanopyError('unavailable', `unable to read file ${file}: ${reasonOf(error)}`);
    }
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no such file or directory';
  return code === 'EACCES' ? 'permission denied' : message;
}
