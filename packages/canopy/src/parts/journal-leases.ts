/** Leases on journals, when a parent does not write any more. */
import type { DurationMs, Store } from '@canopy/model';

/**
 * Gives back what `owner` holds: not only pulls take leases, tiles that close and retention do, too. Without this the next
 * parent waits until they expire.
 */
export async function giveUpJournals(store: Store, owner: string, ttl: DurationMs): Promise<void> {
  for (const { ref } of await store.journals()) {
    const outcome = await store.acquireLease(ref, owner, ttl);
    if (outcome.granted) await store.releaseLease(outcome.lease);
  }
}
