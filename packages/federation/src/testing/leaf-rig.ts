/** A leaf of which only the journal, its store and its server are there. */
import type { ServerResponse } from 'node:http';
import { VirtualClock } from '@canopy/model/testing';
import { onTestFinished } from 'vitest';
import type { FrameServerOptions } from '../serve/frames.js';
import { FixtureJournal } from './fixture-journal.js';
import { MemoryStore } from './memory-store.js';
import { ServerRig, id } from './rig.js';

/** Where the clock of a leaf begins, and its journal. */
export const T0 = 1_700_000_000_000;
export const LEAF = id('a');
/** Its frames may stand so late: a younger one than the oldest kept may be gone. Milliseconds. */
export const LATE = 10_000;

interface LeafParts {
  readonly clock?: VirtualClock;
  readonly store?: MemoryStore;
  readonly options?: Partial<FrameServerOptions>;
  /** Shown each answer before it is made. */
  readonly seen?: (res: ServerResponse) => void;
}

/** Serves an empty journal until the test is over. */
export async function startLeaf({
  clock = new VirtualClock(T0),
  store = new MemoryStore(clock),
  options = {},
  seen,
}: LeafParts = {}) {
  const journal = new FixtureJournal(store, LEAF);
  const server = await new ServerRig(store, clock, LEAF, options).listen(seen);
  onTestFinished(() => server.close());
  return { clock, store, journal, server };
}

export const leafWith = (options: Partial<FrameServerOptions>) => startLeaf({ options });

/** Two groups, `frames` frames each: what a leaf with two targets writes. */
export async function fill(journal: FixtureJournal, frames: number, first = 0): Promise<void> {
  if (first === 0) {
    journal.layout(1, ['up', 'a_total']);
    journal.layout(2, ['up', 'b_total']);
  }
  for (let i = first; i < first + frames; i++) {
    journal.frame(1, T0 + i * 1000, [1, i]);
    journal.frame(2, T0 + i * 1000 + 1, [1, i * 2]);
  }
  await journal.commit();
}
