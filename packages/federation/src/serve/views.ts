/**
 * Filtered views between the pulls of their readers. One that is not there any more is made again
 * by reading the journal from the key frames before the reader's place, in steps over several
 * requests where that takes long.
 */
import {
  type Clock,
  type JournalPosition,
  type JournalRef,
  type JournalState,
  type Store,
  comparePositions,
} from '@canopy/model';
import { FilterView } from './filter-view.js';
import type { LayoutReader } from './layouts.js';
import type { Selection } from './selection.js';
import { Verdicts } from './verdicts.js';

/** Read before others get their turn. */
const CHUNK = { maxBytes: 256 * 1024, maxEntries: 2048 };

/** The event loop is held no longer than this, or by one record. */
const HOLD_MS = 5;

/** Kept of which series pass: a byte each. */
const VERDICT_BYTES_MAX = 16 * 1024 * 1024;

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
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #layouts: LayoutReader;
  readonly #viewsMax: number;
  readonly #verdicts = new Verdicts(VERDICT_BYTES_MAX);
  /**
   * By reference and position (where it is, or will be when it is made); least recently used first.
   */
  readonly #kept = new Map<string, FilterView>();
  /**
   * By reader: the one that was not ready in time, or only just. Not bounded with the others, so that however many
   * there are, a reader gets on.
   */
  readonly #unready = new Map<string, { readonly key: string; readonly view: FilterView }>();

  constructor(store: Store, clock: Clock, layouts: LayoutReader, viewsMax: number) {
    this.#store = store;
    this.#clock = clock;
    this.#layouts = layouts;
    this.#viewsMax = viewsMax;
  }

  /** Readers have views of their own: two at the same place would take them from each other. */
  of(reader: string, selection: Selection): ViewSource {
    return {
      at: (stored, ref, place, deadline) => {
        return this.#at(reader, ref, selection, stored, place, deadline);
      },
      keep: (ref, position, view, isMoved) => {
        const key = keyOf(reader, ref, position);
        // Its time went into making it: the next request begins with it, however many there are.
        if (isMoved) this.#keep(key, view);
        else this.#unready.set(reader, { key, view });
      },
    };
  }

  /** Series that matchers were asked about since the start. */
  get evaluated(): number {
    return this.#verdicts.evaluated;
  }

  /** Forgets what is kept for readers that are not there any more. */
  retain(isThere: (reader: string) => boolean): void {
    for (const reader of this.#unready.keys()) if (!isThere(reader)) this.#unready.delete(reader);
  }

  async #at(
    reader: string,
    ref: JournalRef,
    selection: Selection,
    stored: JournalState,
    place: ViewPlace,
    deadline: number,
  ): Promise<FilterView | null> {
    const key = keyOf(reader, ref, place.position);
    let view = this.#kept.get(key);
    this.#kept.delete(key);
    const unready = this.#unready.get(reader);
    if (unready?.key === key) {
      if (unready.view.isMade || !isCut(unready.view, place, stored)) view ??= unready.view;
      this.#unready.delete(reader);
    }
    if (view === undefined) {
      const start = startOf(place, stored.trimmed);
      if (comparePositions(start, place.position) < 0) this.replays++;
      // Frames before `trimmed` are gone, those of another epoch not needed.
      const isWhole = comparePositions(start, stored.trimmed) <= 0 || start.sequence === 0;
      const layouts = await this.#layouts.all(stored.ref);
      const filter = this.#verdicts.of(selection, stored.ref);
      view = new FilterView(filter, layouts, start, isWhole);
    }
    if (!view.isMade) {
      const isMade = await this.#make(view, stored.ref, place.position, deadline);
      // What it was made from may have been cut away under it.
      const now = await this.#store.journal(stored.ref);
      if (now === undefined || isCut(view, place, now)) return null;
      if (!isMade) {
        this.#unready.set(reader, { key, view });
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
      await new Promise((resolve) => setImmediate(resolve));
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
      else await new Promise((resolve) => setImmediate(resolve));
    }
    return true;
  }

  #keep(key: string, view: FilterView): void {
    this.undecodable += view.undecodable;
    view.undecodable = 0;
    this.#kept.set(key, view);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#viewsMax) break;
      this.#kept.delete(oldest);
    }
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
