/**
 * Whether a store still has what this process wrote to it. After a failover or with a restored backup it may hold an
 * older state; then nothing of a journal may be written, cut or sealed before its head is built up anew.
 */
import type { Head } from '@canopy/head';
import type { FramePuller } from '@canopy/federation';
import {
  type BlockMeta,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type TileMeta,
  blockName,
  comparePositions,
} from '@canopy/model';
import type { JournalWriter } from '@canopy/store';
import { lastOf, nameOf } from './tile-places.js';

/** Tiles of a journal that are in no block, and blocks. */
export interface AtRest {
  readonly tiles: readonly TileMeta[];
  readonly blocks: readonly BlockMeta[];
}

/**
 * How what a head knows to be stored of a journal (or a part of it) stands to what the store has, the journal being cut
 * after `trimmed`. `lost`: something is gone that the journal still has, so the head is to be built up anew from it.
 * `moved`: something is elsewhere or dropped; for whoever writes the journal, and knows what it did, that is lost as well.
 *
 * What is gone is not lost where
 * - the journal has it no more, either (no head can be built up with it): it is named when somebody needs it;
 * - a block that the head does not know covers its time: another parent has sealed, or merged, it.
 */
export function standing(
  known: AtRest,
  stored: AtRest,
  trimmed: JournalPosition,
): 'as known' | 'moved' | 'lost' {
  const tileNames = new Set(stored.tiles.map(nameOf));
  const blockNames = new Set(stored.blocks.map(blockName));
  const knownBlocks = new Set(known.blocks.map(blockName));
  const others = stored.blocks.filter((block) => !knownBlocks.has(blockName(block)));
  const isIn = (time: number): boolean => others.some(({ from, to }) => from <= time && time < to);
  const isCut = (last: JournalPosition): boolean => comparePositions(last, trimmed) <= 0;
  const tiles = known.tiles.filter((tile) => !tileNames.has(nameOf(tile)) && !isCut(lastOf(tile)));
  const blocks = known.blocks.filter((block) => !blockNames.has(blockName(block)));
  const isLost =
    tiles.some(({ maxTime }) => !isIn(maxTime)) ||
    blocks.some(({ last, from }) => !isCut(last) && !isIn(from));
  if (isLost) return 'lost';
  return tiles.length + blocks.length > 0 ? 'moved' : 'as known';
}

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

interface Writers {
  readonly puller: Pick<FramePuller, 'refs' | 'position' | 'doubt'> | undefined;
  readonly journal: Pick<JournalWriter, 'ref' | 'position' | 'doubt'> | undefined;
}

/**
 * Compares what was just read of the store with what was written to it: a wipe takes journals of which nothing new comes,
 * too, and no commit asks for those, nor for the own one while nothing is written to it. A commit in between makes a
 * doubt that costs a look at the store, no more.
 */
export async function doubtWhatIsLess(
  states: ReadonlyMap<JournalRef, JournalState>,
  { puller, journal }: Writers,
): Promise<void> {
  for (const ref of puller?.refs() ?? []) {
    if (isBehind(states.get(ref), puller!, ref)) puller!.doubt(ref);
  }
  if (journal === undefined) return;
  const own = { position: () => journal.position };
  if (isBehind(states.get(journal.ref), own, journal.ref)) await journal.doubt();
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
