/** What a process takes from outside. The real one is in system-world.ts, a simulated one in test/simulation. */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type SendJson, type TokenRule, parseTokens } from '@canopy/federation';
import { CanopyError, type Clock, errorText } from '@canopy/model';
import type { HttpClientConfig, ScrapeManagerOptions } from '@canopy/scrape';
import type { CorruptRecord, ReportingStore, VolatileStore } from '@canopy/store';
import type { Web } from '@canopy/web';
import type { Settings } from '../cli/settings.js';
import type { LoadOptions } from '../config/load.js';
import type { Log } from '../log.js';
import type { ActiveQueryLog } from './active-query-log.js';
import type { Chore } from './housekeeping.js';

export interface OpenedStore {
  readonly store: ReportingStore;
  /** Differs between a storage path and a copy of it; '' for a store that has no path. */
  readonly pathIdentity: string;
  /** Copies the store into a folder that is not there yet; undefined where it has no files of its own. */
  readonly backup?: ((folder: string) => Promise<void>) | undefined;
  /** The same store, where it goes on in memory while its disk takes no writes. */
  readonly volatile?: VolatileStore | undefined;
}

/** What answers requests; `handler` leads to the other two. */
export interface Doors {
  readonly handler: Web;
  /** Answers `/federate`. */
  federate(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void>;
  /** Answers announcements; null where nobody may announce itself. */
  readonly register: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | null;
}

export interface Listening {
  /** For people. */
  readonly address: string;
  /** Connections and requests that `--web.config.file` turned away, by reason; default: none. */
  readonly refused?: Readonly<Record<string, number>>;
  /** Why that file as it is now is not in use; default: ''. */
  problem?(): string;
  close(): Promise<void>;
}

/** Connections to those who are asked. */
export interface Network extends Pick<ScrapeManagerOptions, 'fetcher' | 'resolver' | 'kubernetes'> {
  close(): void;
}

export interface World {
  readonly clock: Clock;
  readonly randomBytes: (size: number) => Uint8Array;
  /** Part of the names of lease owners. */
  readonly hostname: string;
  /** The role is alone in its process: what the operating system says of that is its own. */
  readonly ownsProcess: boolean;
  /** Where the configuration is read from. */
  readonly files: Pick<LoadOptions, 'readFile' | 'listFolder' | 'env'>;
  /** Under an `http_config`. */
  sendJson(config: HttpClientConfig): SendJson;
  /** @throws CanopyError `storage_locked`, `storage_unsuitable`, `storage_unavailable`. */
  openStore(
    settings: Settings,
    log: Log,
    onCorrupt: (record: CorruptRecord) => void,
  ): Promise<OpenedStore>;
  /** Remembers queries beyond this process; undefined where nothing outlives it. */
  openActiveQueries(settings: Settings, log: Log): ActiveQueryLog | undefined;
  /** @throws ListenError */
  listen(doors: Doors, settings: Settings, log: Log): Promise<Listening>;
  /** `pullsFrames`: bodies are kept beyond their taking. */
  connect(options: { readonly pullsFrames: boolean }): Network;
  /** Runs chores by the clock on the wall; what is returned ends them. */
  startHousekeeping(chores: readonly Chore[], log: Log): () => Promise<void>;
}

/**
 * Reads tokens anew each time, so that they can be changed while the process runs. What it returns rejects with a
 * CanopyError where the file cannot be used.
 */
export function tokenReader(file: string | undefined): () => Promise<readonly TokenRule[]> {
  if (file === undefined) return () => Promise.resolve([]);
  return async () => {
    try {
      return parseTokens(await readFile(file, 'utf8'));
    } catch (error) {
      throw new CanopyError('unavailable', `--federation.token-file: ${errorText(error)}`);
    }
  };
}
