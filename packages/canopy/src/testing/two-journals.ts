/** Two journals and their tiles, for tests of what a parent keeps. */
import { MemoryStore } from '@canopy/federation/testing';
import {
  type JournalRef,
  type StoredTile,
  type TileMeta,
  asDuration,
  asTime,
  journalRef,
} from '@canopy/model';
import type { VirtualClock } from '@canopy/model/testing';

const ref = (digit: string): JournalRef => journalRef(digit.repeat(32) as never);
export const A = ref('a');
export const B = ref('b');

export function tile(sequence: number, maxTime: number, size = 100): StoredTile {
  const meta: TileMeta = {
    ...{ epoch: 1, group: 1, firstSequence: sequence, lastSequence: sequence },
    ...{ minTime: asTime(maxTime - 1), maxTime: asTime(maxTime), byteLength: size },
  };
  return { meta, bytes: new Uint8Array(size) };
}

/** A store that knows both journals. */
export async function storeWithJournals(clock: VirtualClock): Promise<MemoryStore> {
  const store = new MemoryStore(clock);
  for (const journal of [A, B]) {
    const outcome = await store.acquireLease(journal, 'me', asDuration(15_000));
    if (!outcome.granted) throw new Error('not granted');
    const position = { epoch: 1, sequence: 1 };
    const rest = { expected: null, entries: [], cursor: '', ledger: '' };
    await store.commit({ lease: outcome.lease, position, ...rest });
    await store.releaseLease(outcome.lease);
  }
  return store;
}
