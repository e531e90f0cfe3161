/**
 * Filtered views between the pulls of their readers. One that is not there any more is made again
 * by reading the journal from the key frames before the reader's place, in steps over several
 * requests where that takes long.
 */
import {
  CanopyError,
  type Clock,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Store,
  type Turns,
  comparePositions,
} from '@canopy/model';
import { FilterView } from './filter-view.js';
import type { LayoutReader } from './layouts.js';
import type { Selection } from './selection.js';
import { Verdicts } from './verdicts.js';

/** Read before others get their turn. */
const CHUNK = { maxBytes: 64 * 1024, maxEntries: 2048 };

/** The event loop is held no longer than this, or by one record. */
const HOLD_MS = 5;

/** Kept of which series pass: a byte each. */
const VERDICT_BYTES_MAX = 16 * 1024 * 1024;

/** One that is being made is forgotten where nobody has asked for it for so long. */
const UNREADY_MS = 150_000;

/** What all views may take: those that are kept go over either bound, least recently used first. */
export interface ViewLimits {
  readonly viewsMax: number;
  readonly viewBytesMax: number;
}

/** Who reads, and from where. */
export interface Viewer {
  readonly key: string;
  readonly remote: string;
}

interface Kept {
  readonly reader: string;
  readonly view: FilterView;
  readonly bytes: number;
}

interface Unready {
  readonly key: string;
  readonly remote: string;
  readonly view: FilterView;
  readonly bytes: number;
  readonly until: number;
}

/** Where a view has to be, and how many sequence numbers before that it has to start. */
export interface ViewPlace {
  readonly position: JournalPosition;
  readonly replay: number;
}

/** Port of the views of one selection. */
export interface ViewSource {
  /** The view at a place; null where it could not be made by `deadline` (Clock.monotonic()). */
  at(
    stored: JournalState,
    ref: JournalRef,
    place: ViewPlace,
    deadline: number,
  ): Promise<FilterView | null>;
  /** Gives a view back for the pull that comes next; `isMoved`: entries went through it. */
  keep(ref: JournalRef, position: JournalPosition, view: FilterView, isMoved: boolean): void;
}

const keyOf = (reader: string, ref: JournalRef, { epoch, sequence }: JournalPosition) =>
  `${ref}@${epoch}.${sequence} ${reader}`;

export class Views {
  /** Views made again by reading. */
  replays = 0;
  undecodable = 0;
  /** Kept views that had to go for others. */
  dropped = 0;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #turns: Turns;
  readonly #layouts: LayoutReader;
  readonly #limits: ViewLimits;
  readonly #verdicts = new Verdicts(VERDICT_BYTES_MAX);
  /**
   * By reference and position (where it is, or will be when it is made); least recently used first.
   */
  readonly #kept = new Map<string, Kept>();
  #keptBytes = 0;
  /**
   * By reader: the one that was not ready in time, or only just. Does not go for others, so that however many
   * there are, a reader gets on: over the bound no other is begun.
   */
  readonly #unready = new Map<string, Unready>();

  constructor(store: Store, clock: Clock, turns: Turns, layouts: LayoutReader, limits: ViewLimits) {
    this.#store = store;
    this.#clock = clock;
    this.#turns = turns;
    this.#layouts = layouts;
    this.#limits = limits;
  }

  /** Readers have views of their own: two at the same place would take them from each other. */
  of(reader: Viewer, selection: Selection): ViewSource {
    return {
      at: (stored, ref, place, deadline) => {
        return this.#at(reader, ref, selection, stored, place, deadline);
      },
      keep: (ref, position, view, isMoved) => {
        const key = keyOf(reader.key, ref, position);
        // Its time went into making it: the next request begins with it, however many there are.
        if (isMoved) this.#keep(reader.key, key, view);
        else this.#setAside(reader, key, view);
      },
    };
  }

  /** Series that matchers were asked about since the start. */
  get evaluated(): number {
    return this.#verdicts.evaluated;
  }

  /** Of views between two pulls, about. */
  get bytes(): number {
    let bytes = this.#keptBytes;
    for (const unready of this.#unready.values()) bytes += unready.bytes;
    return bytes;
  }

  /** Forgets what is kept for readers that are not there any more. */
  retain(isThere: (reader: string) => boolean): void {
    this.#expire();
    for (const reader of this.#unready.keys()) if (!isThere(reader)) this.#unready.delete(reader);
  }

  #setAside({ key: reader, remote }: Viewer, key: string, view: FilterView): void {
    const until = this.#clock.monotonic() + UNREADY_MS;
    this.#unready.set(reader, { key, remote, view, bytes: view.bytes, until });
  }

  /**
   * Before anything is read for a page: a reader that has a view goes on, one that begins finds room. Half of it is for others
   * than one address.
   * @throws CanopyError where views that are being made take all there is.
   */
  checkRoom({ key: reader, remote }: Viewer): void {
    this.#expire();
    if (this.#unready.has(reader)) return;
    for (const kept of this.#kept.values()) if (kept.reader === reader) return;
    let bytes = 0;
    let fromThere = 0;
    for (const unready of this.#unready.values()) {
      bytes += unready.bytes;
      if (unready.remote === remote) fromThere += unready.bytes;
    }
    const { viewBytesMax } = this.#limits;
    if (bytes < viewBytesMax && fromThere < viewBytesMax / 2) return;
    throw new CanopyError('too_many_requests', 'too many filters are being worked out');
  }

  #expire(): void {
    const now = this.#clock.monotonic();
    for (const [reader, { until }] of this.#unready) {
      if (until <= now) this.#unready.delete(reader);
    }
  }

  async #at(
    reader: Viewer,
    ref: JournalRef,
    selection: Selection,
    stored: JournalState,
    place: ViewPlace,
    deadline: number,
  ): Promise<FilterView | null> {
    const key = keyOf(reader.key, ref, place.position);
    let view = this.#takeKept(key);
    const unready = this.#unready.get(reader.key);
    if (unready?.key === key) {
      if (unready.view.isMade || !isCut(unready.view, place, stored)) view ??= unready.view;
      this.#unready.delete(reader.key);
    }
    if (view === undefined) {
      const start = startOf(place, stored.trimmed);
      if (comparePositions(start, place.position) < 0) this.replays++;
      // Frames before `trimmed` are gone, those of another epoch not needed.
      const isWhole = comparePositions(start, stored.trimmed) <= 0 || start.sequence === 0;
      // Those who begin at the same time share them.
      const layouts = await this.#layouts.all(stored);
      const filter = this.#verdicts.of(selection, stored.ref);
      view = new FilterView(filter, layouts, start, isWhole);
    }
    if (!view.isMade) {
      const isMade = await this.#make(view, stored.ref, place.position, deadline);
      // What it was made from may have been cut away under it.
      const now = await this.#store.journal(stored.ref);
      if (now === undefined || isCut(view, place, now)) return null;
      if (!isMade) {
        this.#setAside(reader, key, view);
        return null;
      }
      view.isMade = true;
    }
    return view;
  }

  async #make(
    view: FilterView,
    stored: JournalRef,
    target: JournalPosition,
    deadline: number,
  ): Promise<boolean> {
    return (
      (await this.#learn(view, deadline)) && (await this.#catchUp(view, stored, target, deadline))
    );
  }

  /** A million series take seconds. */
  async #learn(view: FilterView, deadline: number): Promise<boolean> {
    let since = this.#clock.monotonic();
    while (view.learn()) {
      const now = this.#clock.monotonic();
      if (now - since < HOLD_MS) continue;
      if (now >= deadline) return false;
      await this.#turns.next();
      since = this.#clock.monotonic();
    }
    return true;
  }

  async #catchUp(
    view: FilterView,
    stored: JournalRef,
    target: JournalPosition,
    deadline: number,
  ): Promise<boolean> {
    while (comparePositions(view.position, target) < 0) {
      const read = await this.#store.readEntries(stored, view.position, CHUNK);
      for (const entry of read) {
        if (comparePositions(entry, target) > 0) break;
        view.offer(entry);
      }
      // That was counted when it was sent; and frames before a group's key frame are none of ours.
      view.undecodable = 0;
      const last = read.at(-1);
      if (last === undefined || comparePositions(last, target) >= 0) view.skipTo(target);
      else if (this.#clock.monotonic() >= deadline) return false;
      else await this.#turns.next();
    }
    return true;
  }

  #keep(reader: string, key: string, view: FilterView): void {
    this.undecodable += view.undecodable;
    view.undecodable = 0;
    this.#takeKept(key);
    const { bytes } = view;
    this.#kept.set(key, { reader, view, bytes });
    this.#keptBytes += bytes;
    const { viewsMax, viewBytesMax } = this.#limits;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= viewsMax && this.#keptBytes <= viewBytesMax) break;
      this.#takeKept(oldest);
      this.dropped++;
    }
  }

  #takeKept(key: string): FilterView | undefined {
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    this.#keptBytes -= kept?.bytes ?? 0;
    return kept?.view;
  }
}

/** What the view began with is gone before the view was at its place: it is made anew. */
function isCut({ start }: FilterView, { position }: ViewPlace, { trimmed }: JournalState): boolean {
  return comparePositions(start, position) < 0 && comparePositions(start, trimmed) < 0;
}

/** Frames before `trimmed` are gone, and none after it needs them. */
function startOf({ position, replay }: ViewPlace, trimmed: JournalPosition): JournalPosition {
  if (comparePositions(position, trimmed) <= 0) return position;
  const sequence = Math.max(0, position.sequence - replay);
  const start = { epoch: position.epoch, sequence };
  return comparePositions(start, trimmed) < 0 ? trimmed : start;
}
