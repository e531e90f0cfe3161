import type { Clock } from '@canopy/model';
import type { CorruptRecord, ReportingStore, StoreLog } from '../health.js';

export interface EmbeddedStoreOptions {
  /** Folder of the store; made when it is not there. */
  readonly path: string;
  /** Commits are refused (`storage_full`) where they would take the store over this many bytes. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: StoreLog;
  readonly onCorrupt: (record: CorruptRecord) => void;
}

export interface EmbeddedStore extends ReportingStore {
  readonly kind: 'embedded';
  /** Differs between a folder and a copy of it. */
  readonly identity: string;
}

/** @throws CanopyError `storage_locked`, `storage_unavailable` (folder cannot be used). */
export function openEmbeddedStore(_options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
  return Promise.reject(new Error('BUG: signatures only'));
}
