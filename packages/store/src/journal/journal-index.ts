/**
 * What a process remembers of its own journal: last frame and key frame of each group, and marks
 * along the way at which the journal may be cut. Fed by committed entries; kept in a document
 * from time to time, so that a restart reads the end of the journal only.
 */
import {
  EntryKind,
  FormatError,
  type GroupId,
  type GroupMeta,
  JOURNAL_START,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type Labels,
  type Milliseconds,
  comparePositions,
} from '@canopy/model';
import { decodeLayout, entryPayload } from '@canopy/encoding';
import { GROUP_IDLE_MS } from './group-columns.js';

type TargetMeta = Pick<GroupMeta, 'kind' | 'target' | 'scrapeUrl'>;

export interface GroupTrack extends TargetMeta {
  readonly group: GroupId;
  /** Time of the newest frame; 0 before the first one. */
  lastTime: number;
  /** Position of the newest entry. */
  last: JournalPosition;
  /** Position before the newest key frame. */
  key: JournalPosition;
}

/** A place in the journal, with the place from where on everything after it can be decoded. */
export interface Mark {
  readonly position: JournalPosition;
  /** Newest frame at or before `position`. */
  readonly time: Milliseconds;
  /** Entry bytes up to `position`, counted from the journal's beginning. */
  readonly bytes: number;
  readonly cut: JournalPosition;
}

/** A mark at least this often; retention is as fine as that. */
const MARK_EVERY_MS = 60_000;
/** Over this number every second mark goes. */
const MARKS_MAX = 2048;
const VERSION = 1;

interface Checkpoint {
  readonly version: number;
  readonly journal: JournalRef;
  readonly position: JournalPosition;
  readonly nextGroup: GroupId;
  readonly newest: number;
  readonly bytes: number;
  readonly groups: ReadonlyArray<
    readonly [
      group: GroupId,
      kind: GroupMeta['kind'],
      target: Labels,
      scrapeUrl: string,
      lastTime: number,
      last: JournalPosition,
      key: JournalPosition,
    ]
  >;
  readonly marks: readonly Mark[];
}

export class JournalIndex {
  readonly #groups = new Map<GroupId, GroupTrack>();
  #marks: Mark[] = [];
  #markedAt = 0;
  /** Newest entry taken in. */
  position: JournalPosition = JOURNAL_START;
  /** Entry bytes taken in. */
  bytes = 0;
  nextGroup: GroupId = 1;
  /** Time of the last frame; after a clock step not the greatest. */
  newest = 0;

  get groups(): ReadonlyMap<GroupId, GroupTrack> {
    return this.#groups;
  }

  get marks(): readonly Mark[] {
    return this.#marks;
  }

  /** Entries in order, each once. */
  observe(entries: readonly JournalEntry[]): void {
    this.#mark();
    for (const entry of entries) {
      const { epoch, sequence, kind, group } = entry;
      const before = this.position;
      this.position = { epoch, sequence };
      this.bytes += entry.bytes.length;
      this.reserveGroup(group);
      if (kind === EntryKind.layout) this.#observeLayout(entry);
      if (kind === EntryKind.frame) this.#observeFrame(entry, before);
    }
  }

  /** The number is taken. */
  reserveGroup(group: GroupId): void {
    if (group >= this.nextGroup) this.nextGroup = group + 1;
  }

  /** Forgets a group whose entries are gone. */
  forget(group: GroupId): void {
    this.#groups.delete(group);
  }

  /** The journal was cut there: of the marks before, only the last says something (its bytes). */
  trimmed(position: JournalPosition): void {
    const marks = this.#marks;
    let gone = 0;
    while (gone < marks.length && comparePositions(marks[gone].position, position) <= 0) gone++;
    this.#marks = marks.slice(Math.max(0, gone - 1));
  }

  /** For `restore` of a later process. */
  checkpoint(journal: JournalRef): string {
    const checkpoint: Checkpoint = {
      version: VERSION,
      journal,
      position: this.position,
      nextGroup: this.nextGroup,
      newest: this.newest,
      bytes: this.bytes,
      groups: [...this.#groups.values()].map((track) => [
        track.group,
        track.kind,
        track.target,
        track.scrapeUrl,
        track.lastTime,
        track.last,
        track.key,
      ]),
      marks: this.#marks,
    };
    return JSON.stringify(checkpoint);
  }

  /** False where the text cannot be used: then the journal is read from its beginning. */
  restore(text: string, journal: JournalRef): boolean {
    let checkpoint: Checkpoint;
    try {
      checkpoint = JSON.parse(text) as Checkpoint;
    } catch {
      return false;
    }
    const { version, groups, marks } = checkpoint;
    if (version !== VERSION || checkpoint.journal !== journal) return false;
    if (!Array.isArray(groups) || !Array.isArray(marks)) return false;
    this.position = checkpoint.position;
    this.nextGroup = checkpoint.nextGroup;
    this.newest = checkpoint.newest;
    this.bytes = checkpoint.bytes;
    this.#marks = [...marks];
    this.#markedAt = this.#marks.at(-1)?.time ?? 0;
    for (const [group, kind, target, scrapeUrl, lastTime, last, key] of groups) {
      this.#groups.set(group, { group, kind, target, scrapeUrl, lastTime, last, key });
    }
    return true;
  }

  #observeLayout(entry: JournalEntry): void {
    const { epoch, sequence, group } = entry;
    const last = { epoch, sequence };
    const track = this.#groups.get(group);
    if (track !== undefined) {
      track.last = last;
      return;
    }
    let meta: GroupMeta;
    try {
      meta = decodeLayout(entryPayload(entry)).meta;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      // Of a later version, perhaps: its group is not gone on from and does not hold back a cut.
      return;
    }
    const { kind, target, scrapeUrl } = meta;
    this.#groups.set(group, { group, kind, target, scrapeUrl, lastTime: 0, last, key: last });
  }

  #observeFrame(entry: JournalEntry, before: JournalPosition): void {
    this.newest = entry.time;
    const track = this.#groups.get(entry.group);
    if (track === undefined) return;
    track.lastTime = entry.time;
    track.last = this.position;
    if (entry.key) track.key = before;
  }

  #mark(): void {
    if (Math.abs(this.newest - this.#markedAt) < MARK_EVERY_MS) return;
    let cut = this.position;
    for (const { lastTime, key } of this.#groups.values()) {
      if (lastTime === 0 || this.newest - lastTime > GROUP_IDLE_MS) continue;
      if (comparePositions(key, cut) < 0) cut = key;
    }
    const { position, newest, bytes } = this;
    this.#marks.push({ position, time: newest as Milliseconds, bytes, cut });
    this.#markedAt = newest;
    if (this.#marks.length > MARKS_MAX) this.#marks = this.#marks.filter((_mark, i) => i % 2 === 1);
  }
}
