/** Stands for a store whose folder has no room to make it: nothing is in it, and it takes nothing. */
import { CanopyError, type LeaseOutcome, type StoreUsage } from '@canopy/model';
import type { EmbeddedStore } from '../embedded/embedded-store.js';
import type { StoreHealth } from '../health.js';

export class AbsentStore implements EmbeddedStore {
  readonly kind = 'embedded';
  readonly identity = '';
  readonly isLost = false;
  readonly #reason: string;

  /** `reason`: why it is not there, for people. */
  constructor(reason: string) {
    this.#reason = reason;
  }

  get health(): StoreHealth {
    return { healthy: false, message: this.#reason };
  }

  readonly journals = async (): Promise<[]> => [];
  readonly journal = async (): Promise<undefined> => undefined;
  readonly readEntries = async (): Promise<[]> => [];
  readonly readLayouts = async (): Promise<[]> => [];
  readonly tiles = async (): Promise<[]> => [];
  readonly readTiles = async (_ref: unknown, tiles: readonly unknown[]): Promise<undefined[]> =>
    tiles.map(() => undefined);
  readonly blocks = async (): Promise<[]> => [];
  readonly readBlocks = async (_ref: unknown, pieces: readonly unknown[]): Promise<undefined[]> =>
    pieces.map(() => undefined);
  readonly getDocument = async (): Promise<undefined> => undefined;
  readonly usage = async (): Promise<StoreUsage> => ({ usedBytes: 0, limitBytes: 0 });
  readonly releaseLease = async (): Promise<void> => {};

  readonly acquireLease = (): Promise<LeaseOutcome> => this.#refuse();
  readonly commit = (): Promise<never> => this.#refuse();
  readonly dropLayouts = (): Promise<never> => this.#refuse();
  readonly trimJournal = (): Promise<never> => this.#refuse();
  readonly dropJournal = (): Promise<never> => this.#refuse();
  readonly putTiles = (): Promise<never> => this.#refuse();
  readonly dropTiles = (): Promise<never> => this.#refuse();
  readonly nextBlock = (): Promise<never> => this.#refuse();
  readonly putBlockChunks = (): Promise<never> => this.#refuse();
  readonly finishBlock = (): Promise<never> => this.#refuse();
  readonly dropBlocks = (): Promise<never> => this.#refuse();
  readonly sweepBlocks = (): Promise<never> => this.#refuse();
  readonly putDocument = (): Promise<never> => this.#refuse();
  readonly backup = (): Promise<never> => this.#refuse();

  async #refuse(): Promise<never> {
    throw new CanopyError('storage_full', this.#reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
