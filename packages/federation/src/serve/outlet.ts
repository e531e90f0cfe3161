/** A body on its way to one client: gzipped where wanted, no faster than the client takes it. */
import type { ServerResponse } from 'node:http';
import { type Gzip, constants, createGzip } from 'node:zlib';
import { CanopyError, type Clock } from '@canopy/model';
import { STALLED } from './reply.js';

export class Outlet {
  readonly #out: ServerResponse | Gzip;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;

  /** Headers and status of `res` are set; nothing is sent yet. `signal` is aborted when the client goes away. */
  constructor(res: ServerResponse, isGzip: boolean, clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    if (!isGzip) {
      this.#out = res;
      return;
    }
    const zip = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: 65_536 });
    res.setHeader('Content-Encoding', 'gzip');
    zip.pipe(res);
    res.once('close', () => zip.destroy());
    this.#out = zip;
  }

  /**
   * Resolves when the bytes are not needed any more. Rejects when the client has gone, or takes nothing for a
   * minute.
   */
  send(chunk: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#signal.throwIfAborted();
      const end = (error?: unknown): void => {
        timer.cancel();
        this.#signal.removeEventListener('abort', onAbort);
        if (error) reject(error as Error);
        else resolve();
      };
      const onAbort = (): void => end(this.#signal.reason);
      const timer = this.#clock.after(STALLED, () =>
        end(new CanopyError('timeout', 'the client takes nothing any more')),
      );
      this.#signal.addEventListener('abort', onAbort, { once: true });
      this.#out.write(chunk, (error) => end(error ?? undefined));
    });
  }

  /** Sends what the bytes end with; errors are of no interest then. */
  end(): void {
    this.#out.end();
  }
}
