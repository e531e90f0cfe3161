/**
 * A file beside the store that says whether its process went on in memory. It is there before the disk is full, and one byte
 * of it is written in its place: that needs no room.
 */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'volatile';
const ON = '1\n';
const OFF = '0\n';

export class VolatileMark {
  readonly #file: string;
  /** Calls of `set` follow one another. */
  #turn: Promise<unknown> = Promise.resolve();
  /** What it said when it was looked at: what the process before had in memory was lost. */
  readonly wasSet: boolean;

  private constructor(file: string, wasSet: boolean) {
    this.#file = file;
    this.wasSet = wasSet;
  }

  /** `folder` need not be there. */
  static async look(folder: string): Promise<VolatileMark> {
    const file = join(folder, FILE);
    const text = await readFile(file, 'utf8').catch(() => '');
    return new VolatileMark(file, text === ON);
  }

  /** Resolves when it is on disk. @throws Error of the file system. */
  set(isVolatile: boolean): Promise<void> {
    const turn = this.#turn.then(() => this.#write(isVolatile ? ON : OFF));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when nothing is written any more. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  async #write(text: string): Promise<void> {
    const file = await open(this.#file, 'r+').catch(() => open(this.#file, 'w'));
    try {
      await file.write(text, 0);
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
