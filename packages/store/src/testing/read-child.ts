/**
 * A process for the test of damaged files: opens the store of each folder it is sent, reads all there is, and sends
 * back what it got. A damaged file may end it.
 */
import { createHash } from 'node:crypto';
import { EntryKind, JOURNAL_START, asDuration, errorText } from '@canopy/model';
import type { EmbeddedStore } from '../embedded/embedded-store.js';
import { openEmbeddedStore } from '../embedded/open-embedded-store.js';
import { systemClock } from './fixtures.js';

/** All a store has of one journal, short. */
export interface ReadStore {
  /** Records that failed their checks, as reported. */
  reported: number;
  /** Code and words where the store was not opened or not read. */
  error?: string;
  state?: unknown;
  /** By sequence. */
  entries: Record<string, string>;
  layouts: string[];
  /** By group: its extent and its bytes; '' where no bytes came. */
  tiles: Record<string, string>;
  documents: Array<string | undefined>;
}

/** What is read: documents `d0` to `d<n>`. */
export const DOCUMENTS = 10;
const EVERYTHING = { maxBytes: 1e9, maxEntries: 1e9 };
const short = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

export async function readStore(path: string, ref: never): Promise<ReadStore> {
  const read: ReadStore = { reported: 0, entries: {}, layouts: [], tiles: {}, documents: [] };
  let store: EmbeddedStore | undefined;
  try {
    store = await openEmbeddedStore({
      ...{ path, maxBytes: 64 << 20, clock: systemClock, log: () => {} },
      onCorrupt: () => void read.reported++,
    });
    read.state = await store.journal(ref);
    for (const entry of await store.readEntries(ref, JOURNAL_START, EVERYTHING)) {
      if (entry.kind !== EntryKind.gap) read.entries[entry.sequence] = short(entry.bytes);
    }
    read.layouts = (await store.readLayouts(ref)).map(({ bytes }) => short(bytes));
    const metas = await store.tiles(ref);
    const tiles = await store.readTiles(ref, metas);
    metas.forEach((meta, i) => {
      const bytes = tiles[i];
      const isThere = bytes !== undefined && bytes.length > 0;
      read.tiles[meta.group] = isThere ? `${JSON.stringify(meta)} ${short(bytes)}` : '';
    });
    for (let i = 0; i < DOCUMENTS; i++) read.documents.push(await store.getDocument(`d${i}`));
    await store.usage();
    // A write as well: it rewrites pages.
    await store.acquireLease(ref, 'reader', asDuration(1000));
  } catch (error) {
    read.error = `${(error as { code?: string }).code} ${errorText(error)}`;
  }
  try {
    await store?.[Symbol.asyncDispose]();
  } catch {
    // The last flush of a damaged file.
  }
  return read;
}

const isChild = process.argv[1]?.endsWith('read-child.ts') ?? false;
if (isChild) {
  process.on('message', ([path, ref]: [string, never]) => {
    void readStore(path, ref).then((read) => process.send!(read));
  });
}
