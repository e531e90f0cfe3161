/**
 * A journal through a filter. Matchers are evaluated once a series, when its layout record passes first (verdicts.ts).
 * Frames of a group that passes whole go through byte for byte, those of a group of which nothing
 * passes are left out, and the others are decoded and encoded again with the slot numbers they had.
 *
 * What is sent is a function of the journal and the filter: a view that is lost can be made again
 * from the key frames before the reader's position.
 */
import {
  FrameDecoder,
  FrameEncoder,
  decodeGap,
  encodeEntry,
  encodeGap,
  entryPayload,
  frameLayoutVersion,
} from '@canopy/encoding';
import {
  EntryKind,
  type Epoch,
  FormatError,
  type GapCause,
  type GroupId,
  type GroupKind,
  type GroupMeta,
  type JournalEntry,
  type JournalPosition,
  SampleState,
  asDuration,
  asTime,
  comparePositions,
} from '@canopy/model';
import { type LayoutFilter, type Verdict, slotNumber } from './verdicts.js';

/** How many slots of a group there are, and how many of them pass. */
interface SlotCounts {
  present: number;
  kept: number;
}

interface FilteredGroup extends SlotCounts {
  kind: GroupKind;
  /** Of its newest layout record; infinite where that is of a later kind, which only the reader may know. */
  version: number;
  slotCount: number;
  /** A record of its layout is gone: which series its frames are of nobody knows any more. */
  isHoled: boolean;
  /** By slot: 1 where it passes. Grows by doubling. */
  mask: Uint8Array;
  /**
   * Frames are decoded and encoded again; so from the first key frame on that the view sees.
   */
  tracked: boolean;
  /** Its newest key frame may lie before the view's start. */
  blind: boolean;
  /** The next frame to be sent needs no earlier one at the reader. */
  fresh: boolean;
  /** Null where the next frame must be a key frame. */
  decoder: FrameDecoder | null;
  /** Why it must. Before the first one: what it builds on was trimmed. */
  brokenBy: GapCause;
  encoder: FrameEncoder | null;
  /** Sequence of the newest key frame seen; 0 where none was. */
  keySequence: number;
  /** The newest frame left every slot without a value. */
  isBlank: boolean;
  /** Time of the newest frame. */
  lastTime: number;
  /** Silent for so long after a blank frame, the group is over. Milliseconds. */
  readonly overAfter: number;
}

/** A group without a nominal interval counts as written this often. */
const INTERVAL_MS = 60_000;
const OVER_INTERVALS = 10;
/** A group of which only frames are there. */
const UNKNOWN = { kind: 'aligned', interval: asDuration(0) } as const;

/** What a group takes beside its columns, and a slot of one that is decoded and encoded again. About. */
const GROUP_BYTES = 512;
const TRACKED_GROUP_BYTES = 4096;
const TRACKED_SLOT_BYTES = 2 * (8 + 1 + 1);
/** A group's counts in the layouts to come. */
const EVENTUAL_BYTES = 160;

const isPartial = (counts: SlotCounts) => counts.kept > 0 && counts.kept < counts.present;
const keyOf = (epoch: Epoch, group: GroupId) => `${epoch}/${group}`;

export class FilterView {
  /** Frames that could not be decoded because their key frame is gone or their bytes are wrong. */
  undecodable = 0;
  readonly #filter: LayoutFilter;
  /** Groups of the current epoch: those of an earlier one are not written any more. */
  #groups = new Map<GroupId, FilteredGroup>();
  #epoch: Epoch = 0;
  #position: JournalPosition;
  /** What groups come to by the layouts known when the view was made. */
  readonly #eventual = new Map<string, SlotCounts>();
  #newestTime = 0;
  #states = new Uint8Array(0);
  /** Layouts that the view does not know yet; undefined: none. */
  #learning: IterableIterator<JournalEntry> | undefined;
  /** Of all layouts, while some are not known. */
  #layoutBytes: number;
  readonly #isBlind: boolean;
  /** Where it began. */
  readonly start: JournalPosition;
  /** It has learned the layouts, and was offered what lies between `start` and its place. */
  isMade = false;

  /**
   * Starts at `start`, knowing the `layouts` of the journal (in journal order) once `learn` has gone through them; entries
   * after `start` must then be offered one by one. `isWhole`: none of them needs one before `start`.
   */
  constructor(
    filter: LayoutFilter,
    layouts: readonly JournalEntry[],
    start: JournalPosition,
    isWhole: boolean,
  ) {
    this.#filter = filter;
    this.#position = start;
    this.#epoch = start.epoch;
    this.#learning = layouts.values();
    this.#layoutBytes = layouts.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.start = start;
    this.#isBlind = !isWhole;
  }

  /** Takes one more layout in: a record of many slots takes a while. False when all are. */
  learn(): boolean {
    if (this.#learning === undefined) return false;
    const { done, value: entry } = this.#learning.next();
    if (done) {
      this.#learning = undefined;
      this.#layoutBytes = 0;
      for (const [id, group] of this.#groups) group.tracked ||= this.#becomesPartial(id);
      return false;
    }
    const verdict = this.#filter(entry);
    if (verdict === null) return true;
    this.#countEventual(entry, verdict);
    const isBefore = entry.epoch === this.#epoch && comparePositions(entry, this.start) <= 0;
    if (isBefore) this.#addLayout(verdict, this.#isBlind);
    return true;
  }

  /** About what it holds in memory. */
  get bytes(): number {
    let bytes = this.#layoutBytes + this.#eventual.size * EVENTUAL_BYTES;
    for (const { mask, slotCount, encoder } of this.#groups.values()) {
      bytes += GROUP_BYTES + mask.length;
      if (encoder !== null) bytes += TRACKED_GROUP_BYTES + slotCount * TRACKED_SLOT_BYTES;
    }
    return bytes;
  }

  /** Position of the last entry offered. */
  get position(): JournalPosition {
    return this.#position;
  }

  /** Where the view has to start to be the same again at `position`. */
  replayFrom(): JournalPosition {
    let sequence = this.#position.sequence;
    for (const group of this.#groups.values()) {
      // A loose frame needs no other.
      if (!group.tracked || group.kind === 'loose') continue;
      if (group.keySequence === 0 || this.#isOver(group)) continue;
      sequence = Math.min(sequence, group.keySequence - 1);
    }
    return { epoch: this.#position.epoch, sequence };
  }

  /**
   * Whether this layout entry turns a group whose frames were not looked into, or not from a key
   * frame on, into one whose frames must be. The view is of no use then: make another that knows
   * of it, from the returned position (null: from the oldest entry) to this entry.
   */
  rebuildFor(entry: JournalEntry): { from: JournalPosition | null } | undefined {
    if (entry.kind !== EntryKind.layout || entry.epoch !== this.#epoch) return undefined;
    const group = this.#groups.get(entry.group);
    if (group === undefined || (group.tracked && !group.blind)) return undefined;
    // Its first frame is still to come, and none was passed over.
    if (!group.blind && group.keySequence === 0 && group.lastTime === 0) return undefined;
    // Where it was partial before, the place to start from was chosen with its key frame in mind.
    if (isPartial(group)) return undefined;
    const verdict = this.#filter(entry);
    if (verdict === null || !isPartial(countAfter(group, verdict))) return undefined;
    if (group.keySequence === 0) return { from: null };
    // Others may turn with it (one release, many targets): not one view made again for each.
    let sequence = Math.min(this.replayFrom().sequence, group.keySequence - 1);
    for (const other of this.#groups.values()) {
      if (other.keySequence === 0 || this.#newestTime - other.lastTime > other.overAfter) continue;
      sequence = Math.min(sequence, other.keySequence - 1);
    }
    return { from: { epoch: this.#epoch, sequence } };
  }

  /** Goes on from `position`; there is no entry in between, or it is gone. */
  skipTo(position: JournalPosition): void {
    if (position.epoch !== this.#epoch) this.#groups = new Map();
    this.#epoch = position.epoch;
    this.#position = position;
  }

  /** The entry as the reader gets it; null where it is left out. Entries must come in order. */
  offer(entry: JournalEntry): JournalEntry | null {
    if (entry.epoch !== this.#epoch) {
      this.#epoch = entry.epoch;
      this.#groups = new Map();
    }
    this.#position = { epoch: entry.epoch, sequence: entry.sequence };
    if (entry.kind === EntryKind.layout) return this.#offerLayout(entry);
    const group = this.#groups.get(entry.group);
    if (entry.kind === EntryKind.gap) return this.#offerGap(entry, group);
    if (group === undefined || this.#lacksLayout(group, entry)) return this.#lose(entry, group);
    if (entry.key) {
      group.keySequence = entry.sequence;
      group.blind = false;
    }
    const before = group.lastTime;
    group.lastTime = entry.time;
    if (entry.time > this.#newestTime) this.#newestTime = entry.time;
    // What a later layout makes partial is whole or nothing until then.
    const isWhole = !group.tracked || (group.blind && !isPartial(group));
    if (isWhole) return group.kept > 0 || group.present === 0 ? entry : null;
    try {
      return group.kind === 'aligned'
        ? this.#offerAligned(entry, group)
        : this.#offerLoose(entry, group);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (group.decoder !== null) group.brokenBy = 'corrupt';
      group.decoder = null;
      this.undecodable++;
      return group.kept === 0 ? null : lostFrame(entry, before, group.brokenBy);
    }
  }

  #lacksLayout({ isHoled, version }: FilteredGroup, entry: JournalEntry): boolean {
    if (isHoled) return true;
    try {
      return frameLayoutVersion(entryPayload(entry)) > version;
    } catch (error) {
      if (error instanceof FormatError) return false;
      throw error;
    }
  }

  /** Whether the filter is for it nobody knows: its layout, or a part of it, is gone. */
  #lose(entry: JournalEntry, known: FilteredGroup | undefined): JournalEntry {
    const group = known ?? newGroup(UNKNOWN, false);
    this.#groups.set(entry.group, group);
    group.tracked = true;
    group.isHoled = true;
    // No place to go on from: nothing of it is decoded any more.
    group.keySequence = 0;
    const before = group.lastTime;
    group.lastTime = entry.time;
    this.undecodable++;
    return lostFrame(entry, before, 'corrupt');
  }

  /**
   * A target that is gone leaves a frame without values and then nothing: its key frame must not
   * hold back the place from which the view is made again for ever.
   */
  #isOver(group: FilteredGroup): boolean {
    return group.isBlank && this.#newestTime - group.lastTime > group.overAfter;
  }

  #offerLayout(entry: JournalEntry): JournalEntry | null {
    const verdict = this.#filter(entry);
    // What we cannot read, the reader may (a later version); its frames go where their group goes.
    if (verdict === null) {
      const group = this.#groups.get(entry.group);
      if (group !== undefined) group.version = Number.POSITIVE_INFINITY;
      return entry;
    }
    this.#addLayout(verdict, false);
    const { filtered } = verdict;
    return filtered === null ? entry : withPayload(entry, entry.key, filtered);
  }

  #offerGap(entry: JournalEntry, group: FilteredGroup | undefined): JournalEntry | null {
    try {
      const { cause } = decodeGap(entryPayload(entry));
      // As a head does: what comes next may look like the step after the one that is known.
      if (cause !== 'corrupt' || entry.group !== 0) this.#breakChains(entry.group, cause);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return entry;
    }
    return entry.group === 0 || group === undefined || group.kept > 0 ? entry : null;
  }

  /** The next frame of the group (0: of every one) must be a key frame. */
  #breakChains(id: GroupId, cause: GapCause): void {
    for (const [each, group] of this.#groups) {
      if (id !== 0 && id !== each) continue;
      if (group.decoder !== null) group.brokenBy = cause;
      group.decoder = null;
    }
  }

  #offerAligned(entry: JournalEntry, group: FilteredGroup): JournalEntry | null {
    const payload = entryPayload(entry);
    if (group.decoder === null || group.encoder === null) {
      if (!entry.key) throw new FormatError('frame without its key frame');
      group.decoder = new FrameDecoder();
      group.encoder = new FrameEncoder();
    }
    const frame = group.decoder.decodeAligned(payload, entry.key, group.slotCount);
    const { slotCount } = frame;
    if (this.#states.length < slotCount) this.#states = new Uint8Array(slotCount * 2);
    const states = this.#states;
    const { mask } = group;
    const known = Math.min(slotCount, mask.length);
    let anyValue = 0;
    for (let slot = 0; slot < known; slot++) {
      const state = frame.states[slot];
      anyValue |= state & SampleState.value;
      states[slot] = mask[slot] === 1 ? state : SampleState.none;
    }
    states.fill(SampleState.none, known, slotCount);
    group.isBlank = anyValue === 0;
    if (group.kept === 0) {
      group.fresh = true;
      return null;
    }
    const key = entry.key || group.fresh;
    group.fresh = false;
    const version = frameLayoutVersion(payload);
    const filtered = group.encoder.encodeAligned(version, slotCount, states, frame.values, key);
    return withPayload(entry, key, filtered);
  }

  #offerLoose(entry: JournalEntry, group: FilteredGroup): JournalEntry | null {
    group.decoder ??= new FrameDecoder();
    group.encoder ??= new FrameEncoder();
    const payload = entryPayload(entry);
    const { count, slots, times, states, values } = group.decoder.decodeLoose(payload, entry.time);
    // The arrays are ours: what passes moves to the front.
    let kept = 0;
    for (let i = 0; i < count; i++) {
      if (group.mask[slots[i]] !== 1) continue;
      slots[kept] = slots[i];
      times[kept] = times[i];
      states[kept] = states[i];
      values[kept] = values[i];
      kept++;
    }
    if (kept === 0) return null;
    const version = frameLayoutVersion(payload);
    const filtered = group.encoder.encodeLoose(
      version,
      entry.time,
      kept,
      slots,
      times,
      states,
      values,
    );
    return withPayload(entry, entry.key, filtered);
  }

  /** Takes a layout record in. `blind` holds where the group is new to the view. */
  #addLayout({ layout, kept }: Verdict, blind: boolean): void {
    let group = this.#groups.get(layout.group);
    if (group === undefined) {
      group = newGroup(layout.meta, blind);
      this.#groups.set(layout.group, group);
    }
    if (group.mask.length < layout.slotCount) {
      const mask = new Uint8Array(Math.max(layout.slotCount, group.mask.length * 2));
      mask.set(group.mask);
      group.mask = mask;
    }
    // A view may leave out records, and says so by numbering its slots.
    if (layout.slotNumbers === null && layout.version > group.version + 1) group.isHoled = true;
    group.version = Math.max(group.version, layout.version);
    group.slotCount = Math.max(group.slotCount, layout.slotCount);
    for (let i = 0; i < kept.length; i++) {
      group.present++;
      if (kept[i] === 0) continue;
      group.kept++;
      group.mask[slotNumber(layout, i)] = 1;
    }
    group.tracked ||= isPartial(group) || this.#becomesPartial(layout.group);
  }

  /** By the layouts known when the view was made. */
  #becomesPartial(group: GroupId): boolean {
    const eventual = this.#eventual.get(keyOf(this.#epoch, group));
    return eventual !== undefined && isPartial(eventual);
  }

  #countEventual(entry: JournalEntry, verdict: Verdict): void {
    const key = keyOf(entry.epoch, entry.group);
    const before = this.#eventual.get(key) ?? { present: 0, kept: 0 };
    this.#eventual.set(key, countAfter(before, verdict));
  }
}

function countAfter(before: SlotCounts, { kept: passing }: Verdict): SlotCounts {
  let { kept } = before;
  for (const passes of passing) kept += passes;
  return { present: before.present + passing.length, kept };
}

function newGroup(
  { kind, interval }: Pick<GroupMeta, 'kind' | 'interval'>,
  blind: boolean,
): FilteredGroup {
  return {
    kind,
    version: 0,
    isHoled: false,
    present: 0,
    kept: 0,
    slotCount: 0,
    mask: new Uint8Array(0),
    tracked: false,
    blind,
    fresh: true,
    decoder: null,
    brokenBy: 'trimmed',
    encoder: null,
    keySequence: 0,
    isBlank: false,
    lastTime: 0,
    overAfter: OVER_INTERVALS * (interval || INTERVAL_MS),
  };
}

/**
 * Stands in the place of a frame that cannot be filtered: what it builds on is gone. `before`: time of
 * the frame before it, 0 where none is known. Gaps of frames in a row touch, a ledger has them as one.
 */
function lostFrame(entry: JournalEntry, before: number, cause: GapCause): JournalEntry {
  const { epoch, sequence, group, time } = entry;
  const from = asTime(before > 0 && before < time ? before : time - 1);
  const gap = { group, from, to: asTime(time + 1), cause, frames: 1 };
  const fields = { epoch, sequence, kind: EntryKind.gap, group, time: gap.to, key: false };
  return encodeEntry(fields, encodeGap(gap));
}

function withPayload(entry: JournalEntry, key: boolean, payload: Uint8Array): JournalEntry {
  const { epoch, sequence, kind, group, time } = entry;
  return encodeEntry({ epoch, sequence, kind, group, time, key }, payload);
}
