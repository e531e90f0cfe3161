/** The groups of one journal, and how far it has been taken in. */
import { decodeGap, entryPayload } from '@canopy/encoding';
import {
  type ApplyTotals,
  type Epoch,
  GROUP_FORGOTTEN_MS,
  type GroupId,
  JOURNAL_START,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type Milliseconds,
  type TileMeta,
  asTime,
  comparePositions,
} from '@canopy/model';
import type { Group } from './group/group.js';
import type { Tile } from './group/tile.js';
import type { HeadOptions } from './options.js';

/** A group's name within a journal. */
export interface GroupPlace {
  readonly epoch: Epoch;
  readonly group: GroupId;
}

/** Groups whose frames are being lost, at most; over it their losses are told piece by piece. */
const LOSSES_MAX = 20_000;

/** Frames of one group that could not be decoded, so far. */
interface Loss {
  readonly from: Milliseconds;
  frames: number;
}

export class JournalGroups implements Iterable<Group> {
  readonly ref: JournalRef;
  /** Newest entry applied; epoch 0 before the first. */
  position = JOURNAL_START;
  /** Up to where it was cut in the store that it was restored from. */
  restoredFrom: JournalPosition | undefined;
  /** Time of the newest frame, those far ahead of the clock left out. */
  newestTime = Number.NEGATIVE_INFINITY;
  /** The source cut this epoch before it was read to its end. */
  #cutEpoch: Epoch = 0;
  readonly #onFramesLost: HeadOptions['onFramesLost'];
  readonly #losses = new Map<string, Loss>();
  readonly #byEpoch = new Map<Epoch, Map<GroupId, Group>>();

  constructor(ref: JournalRef, onFramesLost: HeadOptions['onFramesLost']) {
    this.ref = ref;
    this.#onFramesLost = onFramesLost;
  }

  find(epoch: Epoch, id: GroupId): Group | undefined {
    return this.#byEpoch.get(epoch)?.get(id);
  }

  /** What comes after a gap does not build on what came before it. @throws FormatError */
  takeGap(entry: JournalEntry): void {
    const { group: id, cause } = decodeGap(entryPayload(entry));
    if (cause === 'trimmed') this.#cutEpoch = entry.epoch;
    for (const group of this.#byEpoch.get(entry.epoch)?.values() ?? []) {
      // Which group it was nobody knows: its next frame does not follow, and says so itself.
      if (cause === 'corrupt' && id === 0) group.mayHaveLost(cause);
      else if (id === 0 || id === group.id) group.breakChain(cause);
    }
  }

  /** Names a frame that the journal has and nobody will see; `group` where it is known. */
  lose({ epoch, group: id, time }: JournalEntry, group: Group | undefined): void {
    // Of a group without a beginning: the journal was read from amid its frames, or was cut there.
    const unbegun = this.#cutEpoch === epoch ? 'trimmed' : undefined;
    const cause = group === undefined ? 'corrupt' : (group.brokenBy ?? unbegun);
    if (cause === undefined) return;
    const key = `${epoch}/${id}`;
    let loss = this.#losses.get(key);
    if (loss === undefined) {
      const last = group === undefined || group.lastTime < 0 ? time : group.lastTime;
      loss = { from: asTime(Math.min(time - 1, last)), frames: 0 };
      if (this.#losses.size >= LOSSES_MAX) this.#losses.clear();
      this.#losses.set(key, loss);
    }
    const { from } = loss;
    const frames = ++loss.frames;
    this.#onFramesLost?.(this.ref, { group: id, from, to: asTime(time + 1), cause, frames });
  }

  /** A key frame of the group was decoded. */
  begin(group: Group, sequence: number): void {
    group.begin(sequence);
    if (this.#losses.size > 0) this.#losses.delete(`${group.epoch}/${group.id}`);
  }

  tile({ epoch, group, firstSequence }: TileMeta): Tile | undefined {
    const tiles = this.find(epoch, group)?.tiles;
    return tiles?.find(({ meta }) => meta.firstSequence === firstSequence);
  }

  add(group: Group): void {
    let groups = this.#byEpoch.get(group.epoch);
    if (groups === undefined) this.#byEpoch.set(group.epoch, (groups = new Map()));
    groups.set(group.id, group);
  }

  /** Of those that were released nothing is left. */
  forget(places: readonly GroupPlace[]): void {
    for (const { epoch, group: id } of places) {
      const groups = this.#byEpoch.get(epoch);
      if (!groups?.get(id)?.released) continue;
      groups.delete(id);
      if (groups.size === 0) this.#byEpoch.delete(epoch);
    }
  }

  /** Takes in extents of tiles the store has. Returns how many have no group. */
  restoreTiles(metas: readonly TileMeta[], trimmed?: JournalPosition): number {
    this.restoredFrom = trimmed;
    const byGroup = new Map<Group, TileMeta[]>();
    let missing = 0;
    for (const meta of metas) {
      const group = this.find(meta.epoch, meta.group);
      if (group === undefined) {
        missing++;
        continue;
      }
      const list = byGroup.get(group);
      if (list === undefined) byGroup.set(group, [meta]);
      else list.push(meta);
      this.newestTime = Math.max(this.newestTime, meta.maxTime);
    }
    for (const [group, list] of byGroup) group.restore(list);
    return missing;
  }

  dropTiles(metas: readonly TileMeta[]): void {
    const byGroup = new Map<Group, Set<number>>();
    for (const meta of metas) {
      const group = this.find(meta.epoch, meta.group);
      if (group === undefined) continue;
      const sequences = byGroup.get(group);
      if (sequences === undefined) byGroup.set(group, new Set([meta.firstSequence]));
      else sequences.add(meta.firstSequence);
    }
    for (const [group, sequences] of byGroup) {
      group.dropTiles((tile) => sequences.has(tile.meta.firstSequence));
    }
  }

  /** Groups of which nothing is left, and no frame after `trimmed`: their layouts may go. */
  notNeeded(trimmed: JournalPosition): GroupPlace[] {
    const places: GroupPlace[] = [];
    for (const group of this) {
      const last = { epoch: group.epoch, sequence: group.lastSequence };
      if (!group.released || comparePositions(last, trimmed) > 0) continue;
      places.push({ epoch: group.epoch, group: group.id });
    }
    return places;
  }

  /** Whether nothing more can come of a group that has ended. */
  isOver(group: Group): boolean {
    if (group.finished || group.epoch < this.position.epoch) return true;
    return this.newestTime - Math.max(group.lastTime, group.touchedTime) > GROUP_FORGOTTEN_MS;
  }

  *[Symbol.iterator](): Generator<Group> {
    for (const groups of this.#byEpoch.values()) yield* groups.values();
  }

  /** Groups of epochs before `epoch`. */
  *before(epoch: Epoch): Generator<Group> {
    for (const [each, groups] of this.#byEpoch) if (each < epoch) yield* groups.values();
  }

  /** Position before the oldest entry that still has to be there after a restart. */
  trimmable(): JournalPosition {
    let trimmable = this.position;
    for (const group of this) {
      const needed = group.neededSequence;
      if (needed === Number.POSITIVE_INFINITY) continue;
      const before = { epoch: group.epoch, sequence: Math.max(0, needed - 1) };
      if (comparePositions(before, trimmable) < 0) trimmable = before;
    }
    return trimmable;
  }
}

/** Counts what was not taken in. */
export function refuse(totals: ApplyTotals, reason: string, count: number): void {
  totals.refused[reason] = (totals.refused[reason] ?? 0) + count;
}
