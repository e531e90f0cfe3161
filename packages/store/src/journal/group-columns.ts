/** The writing end of one group: layouts, frames and gaps in their order. */
import {
  EntryKind,
  type Epoch,
  type Family,
  GROUP_FORGOTTEN_MS,
  type GapCause,
  type GroupId,
  type GroupMeta,
  type GroupWriter,
  type Labels,
  type LayoutSlot,
  type Milliseconds,
  SampleState,
  asTime,
  invariant,
  labelValue,
  labelsKey,
} from '@canopy/model';
import { FrameEncoder, decodeLayout, encodeEntry, encodeGap, encodeLayout } from '@canopy/encoding';
import type { FrameOwner, QueuedRecord } from './record-queue.js';

/** A group that is silent for longer starts again with a key frame, so retention need not keep its last one. */
export const GROUP_IDLE_MS = 30 * 60_000;
/** What falls silent for so long goes on as another group. */
const GROUP_OVER_MS = GROUP_FORGOTTEN_MS / 2;

/** After a start a target is late that has no frame after so many of its intervals. */
const LATE_INTERVALS = 2;

/** Of one layout record; readers refuse what unfolds to 64 MiB. */
const LAYOUT_SLOTS = 1 << 14;
const LAYOUT_FAMILIES = 1 << 14;
const LAYOUT_TEXTS = 1 << 19;
const LAYOUT_CHARACTERS = 1 << 24;

/** What a group's writer needs of its journal. */
export interface GroupHost {
  readonly keyFrameEvery: number;
  /** Epoch of the entries written now. */
  epoch(): Epoch;
  /** Goes up when every group is to write a key frame. */
  keyFrameRequests(): number;
  now(): Milliseconds;
  newGroup(): GroupId;
  enqueue(record: QueuedRecord): void;
  /** A frame was refused because the clock stepped back; `isScrape`: one that a scrape became. */
  refuseByClock(job: string, isScrape: boolean): void;
  closed(writer: GroupColumns): void;
}

/** Why frames are missing before the next one. */
interface PendingGap {
  readonly group: GroupId;
  readonly from: Milliseconds;
  readonly cause: GapCause;
  readonly frames: number;
  /** A shorter one is not named: something else tells of it. Milliseconds. */
  readonly longerThan?: number;
}

/** The group that a new one goes on from. */
export interface Predecessor {
  readonly group: GroupId;
  readonly lastTime: Milliseconds;
  /** Undefined where nothing is missing in between. */
  readonly cause: GapCause | undefined;
  /** Up to when a gap of the whole journal tells it already; undefined: none does. */
  readonly toldUpTo: Milliseconds | undefined;
}

export class GroupColumns implements GroupWriter, FrameOwner {
  readonly meta: Omit<GroupMeta, 'continues'>;
  readonly #host: GroupHost;
  readonly job: string;
  readonly #encoder = new FrameEncoder();
  slotCount = 0;
  /** Slots that are in no layout record of the group yet; what is written stays as the records' payloads alone. */
  #unwritten: LayoutSlot[] = [];
  #layouts: Uint8Array[] = [];
  readonly #families: Family[] = [];
  /** 0 before the group's first frame, and again where a new one must begin. */
  #group: GroupId = 0;
  #epoch: Epoch = 0;
  #continues: GroupId = 0;
  #layoutVersion = 0;
  #familiesWritten = 0;
  #gap: PendingGap | undefined;
  #lastTime: Milliseconds | undefined;
  #framesSinceKey = 0;
  #keyFrameRequests = 0;
  #needsKey = true;
  #closed = false;
  lastSentTime: Milliseconds | undefined;

  constructor(
    host: GroupHost,
    meta: Omit<GroupMeta, 'continues'>,
    predecessor: Predecessor | undefined,
  ) {
    this.#host = host;
    this.meta = meta;
    this.job = labelValue(meta.target, 'job');
    if (predecessor === undefined) return;
    const { group, lastTime, cause, toldUpTo } = predecessor;
    this.#continues = group;
    this.lastSentTime = lastTime;
    if (cause === undefined || isPushed(meta)) return;
    this.#gap =
      toldUpTo === undefined
        ? { group, from: lastTime, cause, frames: cause === 'stopped' ? 0 : -1 }
        : // Only what comes late is told of its own. Nothing was scraped meanwhile.
          { group, from: toldUpTo, cause, frames: 0, longerThan: LATE_INTERVALS * meta.interval };
  }

  get isAligned(): boolean {
    return this.meta.kind === 'aligned';
  }

  /** Its number, or the one it goes on from while it has none; 0 for neither. */
  get group(): GroupId {
    return this.#group === 0 ? this.#continues : this.#group;
  }

  get lastTime(): Milliseconds | undefined {
    return this.#lastTime ?? this.lastSentTime;
  }

  addFamily(family: Family): number {
    return this.#families.push(family) - 1;
  }

  addSlot(labels: Labels, family: number): number {
    invariant(family < this.#families.length, 'BUG: slot of an unknown family');
    this.#unwritten.push({ labels, family });
    return this.slotCount++;
  }

  write(time: Milliseconds, states: Uint8Array, values: Float64Array, scrape?: string): void {
    invariant(this.meta.kind === 'aligned', 'BUG: aligned frame of a loose group');
    invariant(!this.#closed, 'BUG: frame after close');
    const last = this.#lastTime;
    if (last !== undefined && time <= last) {
      if (last - time <= this.meta.interval) {
        this.#host.refuseByClock(this.job, scrape !== undefined);
        return;
      }
      // Times ascend within a group: a large step back begins a new run.
      this.#gap = this.#widenGap({ group: this.group, from: last, cause: 'clock', frames: 0 });
      this.#startOver();
    }
    this.#prepare(time);
    const idle = last !== undefined && time - last > GROUP_IDLE_MS;
    const key = this.#takeKey(idle);
    const count = this.slotCount;
    const version = this.#layoutVersion;
    const payload = this.#encoder.encodeAligned(version, count, states, values, key);
    let samples = 0;
    for (let slot = 0; slot < count; slot++) if (states[slot] !== SampleState.none) samples++;
    this.#enqueueFrame(time, key, payload, samples, scrape);
  }

  writeLoose(
    count: number,
    slots: Uint32Array,
    times: Float64Array,
    states: Uint8Array,
    values: Float64Array,
  ): void {
    invariant(this.meta.kind === 'loose', 'BUG: loose frame of an aligned group');
    invariant(!this.#closed, 'BUG: frame after close');
    if (count === 0) return;
    // Samples have their own times; the frame's is that of its writing, so that the journal is cut by it.
    const time = this.#host.now();
    this.#prepare(time);
    const version = this.#layoutVersion;
    const payload = this.#encoder.encodeLoose(version, time, count, slots, times, states, values);
    this.#enqueueFrame(time, true, payload, count, undefined);
  }

  rebase(keep: Uint8Array): Int32Array {
    const map = new Int32Array(this.slotCount).fill(-1);
    this.#startOver();
    const kept: LayoutSlot[] = [];
    for (let slot = 0; slot < map.length; slot++) {
      if (keep[slot] === 1) map[slot] = kept.push(this.#unwritten[slot]) - 1;
    }
    this.#unwritten = kept;
    this.slotCount = kept.length;
    return map;
  }

  retype(familyOf: Int32Array): void {
    this.#startOver();
    this.#unwritten = this.#unwritten.map((slot, i) =>
      familyOf[i] >= 0 ? { labels: slot.labels, family: familyOf[i] } : slot,
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.closed(this);
  }

  framesDropped(group: GroupId, from: Milliseconds, count: number): void {
    this.#needsKey = true;
    const gap = { group, from, cause: 'refused', frames: count } as const;
    this.#gap = this.#widenGap(gap);
    if (this.#closed) this.#writeGap(this.#host.now());
  }

  gapBetween(group: GroupId, from: Milliseconds, to: Milliseconds, frames: number): QueuedRecord {
    return gapRecord(group, from, to, 'refused', frames, this);
  }

  /** A gap that was not written yet takes the new one in; the older cause stays. */
  #widenGap(gap: PendingGap): PendingGap {
    const before = this.#gap;
    if (before === undefined) return gap;
    const frames = before.frames < 0 || gap.frames < 0 ? -1 : before.frames + gap.frames;
    return { ...before, frames };
  }

  /** The next frame is the first of a group that continues this one. */
  #startOver(): void {
    this.#continues = this.group;
    this.#group = 0;
    this.#needsKey = true;
    const written = this.#layouts.flatMap((payload) => decodeLayout(payload).slots);
    this.#unwritten = [...written, ...this.#unwritten];
    this.#layouts = [];
    this.#familiesWritten = 0;
  }

  /** Writes what must come before a frame: gap, layout. */
  #prepare(time: Milliseconds): void {
    const isOver = this.#lastTime !== undefined && time - this.#lastTime > GROUP_OVER_MS;
    if (this.#group !== 0 && (isOver || this.#epoch !== this.#host.epoch())) this.#startOver();
    this.#writeGap(time);
    if (this.#group === 0) {
      this.#group = this.#host.newGroup();
      this.#epoch = this.#host.epoch();
      this.#layoutVersion = 0;
      this.#needsKey = true;
      this.#encoder.forget();
    }
    const grown = this.#unwritten.length > 0 || this.#families.length > this.#familiesWritten;
    if (this.#layoutVersion === 0 || grown) this.#writeLayout(time);
  }

  #writeGap(time: Milliseconds): void {
    if (this.#gap === undefined) return;
    const { group, from, cause, frames, longerThan = 0 } = this.#gap;
    this.#gap = undefined;
    if (longerThan > 0 && time - from <= longerThan) return;
    this.#host.enqueue(gapRecord(group, from, time, cause, frames, this));
  }

  /** What was added, in records of a bounded size: readers unfold one at once. */
  #writeLayout(time: Milliseconds): void {
    const slots = this.#unwritten;
    const families = this.#families.slice(this.#familiesWritten);
    let firstSlot = this.slotCount - slots.length;
    // Slots name families, so these come first.
    for (let i = 0; i < families.length - LAYOUT_FAMILIES; i += LAYOUT_FAMILIES) {
      this.#writeRecord(time, firstSlot, [], families.slice(i, i + LAYOUT_FAMILIES));
    }
    for (let from = 0; from === 0 || from < slots.length; ) {
      const to = endOfRecord(slots, from);
      const part = slots.slice(from, to);
      this.#writeRecord(time, firstSlot, part, this.#families.slice(this.#familiesWritten));
      firstSlot += part.length;
      from = Math.max(to, 1);
    }
    this.#unwritten = [];
  }

  #writeRecord(
    time: Milliseconds,
    firstSlot: number,
    slots: readonly LayoutSlot[],
    families: readonly Family[],
  ): void {
    this.#layoutVersion++;
    const payload = encodeLayout({
      group: this.#group,
      version: this.#layoutVersion,
      meta: { ...this.meta, continues: this.#continues },
      firstSlot,
      firstFamily: this.#familiesWritten,
      slots,
      slotNumbers: null,
      families,
      slotCount: firstSlot + slots.length,
    });
    this.#layouts.push(payload);
    this.#familiesWritten += families.length;
    const fields = { ...UNPLACED, kind: EntryKind.layout, group: this.#group, time, key: false };
    const entry = encodeEntry(fields, payload);
    this.#host.enqueue({ ...NO_FRAME, entry, writer: this });
  }

  #takeKey(idle: boolean): boolean {
    const requests = this.#host.keyFrameRequests();
    const due = this.#framesSinceKey + 1 >= this.#host.keyFrameEvery;
    const early = this.#needsKey || idle || requests !== this.#keyFrameRequests;
    this.#keyFrameRequests = requests;
    this.#needsKey = false;
    if (early) this.#framesSinceKey = keyFramePhase(this.#group, this.#host.keyFrameEvery);
    else this.#framesSinceKey = due ? 0 : this.#framesSinceKey + 1;
    return early || due;
  }

  #enqueueFrame(
    time: Milliseconds,
    key: boolean,
    payload: Uint8Array,
    samples: number,
    scrape: string | undefined,
  ): void {
    this.#lastTime = time;
    const fields = { ...UNPLACED, kind: EntryKind.frame, group: this.#group, time, key };
    const entry = encodeEntry(fields, payload);
    this.#host.enqueue({ entry, samples, gap: undefined, job: this.job, scrape, writer: this });
  }
}

/** Where a record that begins with slot `from` ends; it has one slot at least, where there is one. */
function endOfRecord(slots: readonly LayoutSlot[], from: number): number {
  let texts = 0;
  let characters = 0;
  let to = from;
  for (; to < slots.length && to - from < LAYOUT_SLOTS; to++) {
    const { labels } = slots[to];
    texts += labels.length;
    for (const text of labels) characters += text.length;
    if (to > from && (texts > LAYOUT_TEXTS || characters > LAYOUT_CHARACTERS)) break;
  }
  return to;
}

/** Shorter runs than this are not worth spreading. Frames. */
const SPREAD_FROM = 60;
/** The shortest first run, as a part of the usual one. */
const FIRST_RUN = 1 / 8;

/**
 * Frames by which the first run of a group is shorter. Groups that begin together (a start, a
 * request for key frames) would all have their key frames together for ever, and with each of
 * them the head closes a tile: so they are spread over the run by the group's number.
 */
export function keyFramePhase(group: GroupId, keyFrameEvery: number): number {
  if (keyFrameEvery < SPREAD_FROM) return 0;
  // Multiples of the golden ratio are spread evenly, however many there are.
  const part = (group * 0.618_033_988_749_895) % 1;
  return Math.floor(part * (1 - FIRST_RUN) * keyFrameEvery);
}

/** Positions are given when the commit is made. */
const UNPLACED = { epoch: 0, sequence: 0 } as const;
const NO_FRAME = { samples: 0, gap: undefined, job: '', scrape: undefined } as const;

/** A gap as a record; `group` 0 for the whole journal. */
export function gapRecord(
  group: GroupId,
  from: Milliseconds,
  to: Milliseconds,
  cause: GapCause,
  frames: number,
  writer: FrameOwner | undefined,
): QueuedRecord {
  const gap = { group, from, to, cause, frames };
  const fields = { ...UNPLACED, kind: EntryKind.gap, group, time: asTime(to), key: false };
  const entry = encodeEntry(fields, encodeGap(gap));
  return { ...NO_FRAME, job: writer?.job ?? '', entry, gap, writer };
}

/** Whether others send what is in it: they are told once it is synced, and have whatever is missing. */
export const isPushed = ({ kind, scrapeUrl }: Pick<GroupMeta, 'kind' | 'scrapeUrl'>): boolean =>
  kind === 'loose' && scrapeUrl === '';

/** Equal for groups of one target. */
export function targetKey({
  kind,
  target,
  scrapeUrl,
}: Pick<GroupMeta, 'kind' | 'target' | 'scrapeUrl'>): string {
  return `${kind} ${scrapeUrl} ${labelsKey(target)}`;
}
