/**
 * Whether a store still has what this process wrote to it. After a failover or with a restored backup it may hold an
 * older state; then nothing of a journal may be written, cut or sealed before its head is built up anew.
 */
import type { Head } from '@canopy/head';
import type { FramePuller } from '@canopy/federation';
import { type JournalRef, type JournalState, comparePositions } from '@canopy/model';

/** The next pull finds that out by itself: its commit is refused, or, where nothing new comes, the store is asked (`doubt`). */
export function isBehind(
  state: JournalState | undefined,
  head: Pick<Head, 'position'>,
  ref: JournalRef,
): boolean {
  const known = head.position(ref);
  if (known === undefined) return false;
  return state === undefined || comparePositions(state.position, known) < 0;
}

/**
 * Compares what was just read of the store with what was written to it: a wipe takes journals of which nothing new comes,
 * too, and no commit asks for those. A commit in between makes a doubt that costs a look at the store, no more.
 */
export function doubtWhatIsLess(
  states: ReadonlyMap<JournalRef, JournalState>,
  puller: FramePuller | undefined,
): void {
  for (const ref of puller?.refs() ?? []) {
    if (isBehind(states.get(ref), puller!, ref)) puller!.doubt(ref);
  }
}

/**
 * Builds up the head of a pulled journal as after a commit that found the store further back. The own journal goes on
 * as it is: what it lost nobody can send again, and its writer begins a new epoch.
 */
export async function buildAnew(
  {
    puller,
    journal,
  }: { puller: FramePuller | undefined; journal: { ref: JournalRef } | undefined },
  ref: JournalRef,
): Promise<boolean> {
  if (puller === undefined || ref === journal?.ref) return false;
  await puller.storeWentBack(ref);
  return true;
}
