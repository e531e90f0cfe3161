/** Who a journal is: an id of random bits, kept with the place it belongs to. */
import { CanopyError, type JournalId, type Store, isJournalId } from '@canopy/model';
import type { StoreLog } from '../health.js';

const ID_DOCUMENT = 'journal/id';

interface IdDocument {
  readonly id: string;
  readonly place: string;
}

/**
 * The id that belongs to this place: made once, and anew where the documents were copied from
 * elsewhere (two journals with one id would give one position to different frames).
 */
export async function findJournalId(
  store: Store,
  place: string,
  randomBytes: (size: number) => Uint8Array,
  log: StoreLog,
): Promise<JournalId> {
  const text = await store.getDocument(ID_DOCUMENT);
  const stored = text === undefined ? undefined : parseId(text);
  if (text !== undefined && stored === undefined) {
    throw new CanopyError('storage_corrupt', `the document ${ID_DOCUMENT} cannot be read`);
  }
  if (stored !== undefined) {
    const copied = stored.place !== '' && place !== '' && stored.place !== place;
    if (!copied) return stored.id as JournalId;
    log('warn', 'the storage folder is a copy of another: it goes on as a new journal', {
      copiedJournal: stored.id,
    });
  }
  const id = Buffer.from(randomBytes(16)).toString('hex') as JournalId;
  await saveJournalId(store, id, place);
  return id;
}

export async function saveJournalId(store: Store, id: JournalId, place: string): Promise<void> {
  await store.putDocument(ID_DOCUMENT, JSON.stringify({ id, place } satisfies IdDocument));
}

function parseId(text: string): IdDocument | undefined {
  try {
    const { id, place } = JSON.parse(text) as Partial<IdDocument>;
    if (typeof id === 'string' && isJournalId(id) && typeof place === 'string') {
      return { id, place };
    }
  } catch {
    // Said by the caller.
  }
  return undefined;
}
