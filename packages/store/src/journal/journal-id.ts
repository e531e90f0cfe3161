/** Who a journal is: an id, the secret it is made from, and the place they belong to. */
import { createHash } from 'node:crypto';
import { CanopyError, type JournalId, type Store, isJournalId } from '@canopy/model';
import type { StoreLog } from '../health.js';

const ID_DOCUMENT = 'journal/id';

const KEY_BYTES = 16;
const KEY = /^[0-9a-f]{32}$/;

export interface JournalIdentity {
  readonly id: JournalId;
  readonly place: string;
  /** Hex of the secret that tells the journal's own cursors from others; as old as the journal. */
  readonly key: string;
  /** The journal that the folder had where it was copied, or moved, from: what parents had not pulled of it nobody has. */
  readonly former?: JournalId;
}

export interface FoundIdentity {
  readonly identity: JournalIdentity;
  /** The journal is from before there were keys: readers may have cursors that no key proves. */
  readonly isKeyNew: boolean;
}

/**
 * Who the journal of this place is: made once, and anew where the documents were copied from
 * elsewhere (two journals with one id would give one position to different frames).
 */
export async function findIdentity(
  store: Store,
  place: string,
  randomBytes: (size: number) => Uint8Array,
  log: StoreLog,
): Promise<FoundIdentity> {
  const drawn = (): string => Buffer.from(randomBytes(KEY_BYTES)).toString('hex');
  const text = await store.getDocument(ID_DOCUMENT);
  const stored = text === undefined ? undefined : parseId(text);
  if (text !== undefined && stored === undefined) {
    throw new CanopyError('storage_corrupt', `the document ${ID_DOCUMENT} cannot be read`);
  }
  if (stored !== undefined) {
    const copied = stored.place !== '' && place !== '' && stored.place !== place;
    const { key } = stored;
    if (!copied && key !== undefined) {
      const identity = { ...stored, key };
      // It began where there was no room for a place.
      const isPlaced = place === '' || stored.place === place;
      if (!isPlaced) await saveIdentity(store, { ...identity, place });
      return { identity, isKeyNew: false };
    }
    if (!copied)
      return { identity: await saveIdentity(store, { ...stored, key: drawn() }), isKeyNew: true };
    log('warn', 'the storage folder is a copy of another: it goes on as a new journal', {
      copiedJournal: stored.id,
    });
  }
  const key = drawn();
  const hash = createHash('sha256').update(key).digest('hex');
  const former = stored === undefined ? {} : { former: stored.id };
  const identity = { id: hash.slice(0, 32) as JournalId, place, key, ...former };
  return { identity: await saveIdentity(store, identity), isKeyNew: false };
}

export async function saveIdentity(
  store: Store,
  identity: JournalIdentity,
): Promise<JournalIdentity> {
  await store.putDocument(ID_DOCUMENT, JSON.stringify(identity));
  return identity;
}

/** Without a key where it was written before there were any. */
function parseId(text: string): (Omit<JournalIdentity, 'key'> & { key?: string }) | undefined {
  try {
    const { id, place, key, former } = JSON.parse(text) as Partial<JournalIdentity>;
    if (typeof id !== 'string' || !isJournalId(id) || typeof place !== 'string') return undefined;
    if (key === undefined) return { id, place };
    if (typeof key !== 'string' || !KEY.test(key)) return undefined;
    if (former === undefined) return { id, place, key };
    if (typeof former === 'string' && isJournalId(former)) return { id, place, key, former };
  } catch {
    // Said by the caller.
  }
  return undefined;
}
