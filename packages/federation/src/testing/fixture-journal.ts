/**
 * A journal written by hand into a store, and an appender that notes what comes out: for round
 * trips in tests of this package.
 */
import {
  type AlignedFrame,
  FrameDecoder,
  FrameEncoder,
  decodeGap,
  decodeLayout,
  encodeEntry,
  encodeGap,
  encodeLayout,
  entryPayload,
} from '@canopy/encoding';
import {
  type Appender,
  type ApplyTotals,
  EntryKind,
  type Family,
  FormatError,
  type GapRecord,
  type GroupKind,
  type JournalEntry,
  type JournalId,
  type JournalPosition,
  type JournalRef,
  type Labels,
  type Lease,
  type Ledger,
  SampleState,
  type Store,
  asDuration,
  asTime,
  comparePositions,
  formatLabels,
  labelsFromObject,
} from '@canopy/model';

/** A value, `null` for no sample, `'stale'` for a stale mark. */
export type Cell = number | null | 'stale';

interface FixtureGroup {
  readonly kind: GroupKind;
  readonly encoder: FrameEncoder;
  version: number;
  slotCount: number;
  frames: number;
  /** Of each frame, in order. */
  readonly written: Array<{ readonly sequence: number; readonly key: boolean }>;
}

const TTL = asDuration(3_600_000);

/** Writes a journal entry by entry; nothing is seen before `commit`. */
export class FixtureJournal {
  readonly id: JournalId;
  readonly #store: Store;
  readonly #groups = new Map<number, FixtureGroup>();
  #lease: Lease | undefined;
  #queue: JournalEntry[] = [];
  /** Of the frames; a layout has the time of the frame that it was made for, which comes after it. */
  newest = 0;
  #stored: JournalPosition | null = null;
  epoch = 1;
  sequence = 0;
  keyEvery = 4;

  constructor(store: Store, id: JournalId) {
    this.#store = store;
    this.id = id;
  }

  get ref(): JournalRef {
    return this.id as string as JournalRef;
  }

  get position(): JournalPosition {
    return { epoch: this.epoch, sequence: this.sequence };
  }

  /** Adds series to a group (makes it where there is none): names, or label sets. */
  layout(
    group: number,
    series: ReadonlyArray<string | Record<string, string>>,
    kind: GroupKind = 'aligned',
    families: readonly Family[] = [],
  ): void {
    let known = this.#groups.get(group);
    if (known === undefined) {
      known = {
        kind,
        encoder: new FrameEncoder(),
        version: 0,
        slotCount: 0,
        frames: 0,
        written: [],
      };
      this.#groups.set(group, known);
    }
    known.version++;
    const firstSlot = known.slotCount;
    known.slotCount += series.length;
    const slots = series.map((one) => ({
      labels: labelsFromObject({
        job: 'test',
        instance: `i${group}`,
        ...(typeof one === 'string' ? { __name__: one } : one),
      }),
      family: families.length === 0 ? -1 : 0,
    }));
    this.#push(EntryKind.layout, group, this.newest && this.newest + 1, false, () =>
      encodeLayout({
        group,
        version: known.version,
        meta: {
          kind,
          target: labelsFromObject({ job: 'test', instance: `i${group}` }),
          scrapeUrl: `http://i${group}/metrics`,
          interval: asDuration(5000),
          continues: 0,
        },
        firstSlot,
        firstFamily: 0,
        slots,
        slotNumbers: null,
        families,
        slotCount: known.slotCount,
      }),
    );
  }

  frame(group: number, time: number, cells: readonly Cell[]): void {
    const known = this.#groups.get(group)!;
    const { states, values } = columns(cells);
    const key = known.frames++ % this.keyEvery === 0;
    this.newest = Math.max(this.newest, time);
    known.written.push({ sequence: this.sequence + 1, key });
    this.#push(EntryKind.frame, group, time, key, () =>
      known.encoder.encodeAligned(known.version, known.slotCount, states, values, key),
    );
  }

  /** Samples with times of their own: [slot, time, cell]. */
  loose(
    group: number,
    time: number,
    samples: ReadonlyArray<readonly [number, number, Cell]>,
  ): void {
    const known = this.#groups.get(group)!;
    const { states, values } = columns(samples.map(([, , cell]) => cell));
    const slots = Uint32Array.from(samples, ([slot]) => slot);
    const times = Float64Array.from(samples, ([, at]) => at);
    this.#push(EntryKind.frame, group, time, true, () =>
      known.encoder.encodeLoose(known.version, time, samples.length, slots, times, states, values),
    );
  }

  /** What goes with the next commit; a test counts in it. */
  ledger: Partial<Ledger> = {};

  gap(gap: GapRecord): void {
    this.#push(EntryKind.gap, gap.group, gap.to, false, () => encodeGap(gap));
  }

  /** The groups of an earlier epoch are not written any more. */
  nextEpoch(): void {
    this.epoch++;
    this.sequence = 0;
    this.#groups.clear();
  }

  async commit(): Promise<void> {
    const lease = await this.#leased();
    const entries = this.#queue;
    this.#queue = [];
    const outcome = await this.#store.commit({
      lease,
      expected: this.#stored,
      position: this.position,
      entries,
      cursor: '',
      ledger: JSON.stringify(this.ledger),
    });
    if (outcome.outcome !== 'applied') throw new Error(`fixture: ${outcome.outcome}`);
    this.#stored = this.position;
  }

  async trim(upTo: JournalPosition): Promise<void> {
    await this.#store.trimJournal(await this.#leased(), upTo);
  }

  /**
   * The latest place before a key frame of each group such that every frame after it can be
   * decoded.
   */
  get safeCut(): JournalPosition {
    const groups = [...this.#groups.values()].filter(({ written }) => written.length > 0);
    let { sequence } = this;
    for (let isSafe = false; !isSafe; ) {
      isSafe = true;
      for (const { written } of groups) {
        const next = written.findIndex((frame) => frame.sequence > sequence);
        const from = next < 0 ? written.length : next;
        if (written[from]?.key) continue;
        // Back to the key frame of the frames that are left, or of those that will come.
        const key = written.slice(0, from).findLast((frame) => frame.key)!;
        sequence = key.sequence - 1;
        isSafe = false;
      }
    }
    return { epoch: this.epoch, sequence };
  }

  /** Goes on from an older place under the same numbers, as a leaf does whose folder was put back; every group with a key frame. */
  rewind({ epoch, sequence }: JournalPosition): void {
    this.epoch = epoch;
    this.sequence = sequence;
    for (const group of this.#groups.values()) group.frames = 0;
  }

  /** The store was put back to an older state. */
  async reload(): Promise<void> {
    const state = await this.#store.journal(this.ref);
    this.#lease = undefined;
    this.#stored = state?.position ?? null;
  }

  async #leased(): Promise<Lease> {
    if (this.#lease !== undefined) return this.#lease;
    const outcome = await this.#store.acquireLease(this.ref, 'fixture', TTL);
    if (!outcome.granted) throw new Error('fixture: no lease');
    this.#lease = outcome.lease;
    return outcome.lease;
  }

  #push(
    kind: EntryKind,
    group: number,
    time: number,
    key: boolean,
    payload: () => Uint8Array,
  ): void {
    this.sequence++;
    const { epoch, sequence } = this;
    const fields = { epoch, sequence, kind, group, time: asTime(time), key };
    this.#queue.push(encodeEntry(fields, payload()));
  }
}

function columns(cells: readonly Cell[]): { states: Uint8Array; values: Float64Array } {
  const states = Uint8Array.from(cells, (cell) =>
    cell === null ? SampleState.none : cell === 'stale' ? SampleState.stale : SampleState.value,
  );
  const values = Float64Array.from(cells, (cell) => (typeof cell === 'number' ? cell : 0));
  return { states, values };
}

interface RecordedGroup {
  readonly kind: GroupKind;
  readonly labels: Map<number, Labels>;
  decoder: FrameDecoder;
  version: number;
}

/** A frame that came and could not be decoded. */
export interface LostFrame {
  readonly group: number;
  readonly time: number;
}

/**
 * Decodes what it is given as a head does. `samples` holds `name{…} @time value` lines by journal,
 * in the order they came.
 */
export class RecordingAppender implements Appender {
  readonly samples: string[] = [];
  readonly entries: Array<{ ref: JournalRef; entry: JournalEntry }> = [];
  readonly gaps: GapRecord[] = [];
  readonly lost: LostFrame[] = [];
  readonly totals: ApplyTotals = {
    frames: 0,
    samples: 0,
    repeated: 0,
    undecodable: 0,
    refused: {},
  };
  readonly #positions = new Map<JournalRef, JournalPosition>();
  readonly #groups = new Map<string, RecordedGroup>();

  apply(ref: JournalRef, entries: readonly JournalEntry[]): ApplyTotals {
    const before = { ...this.totals };
    for (const entry of entries) {
      const position = this.#positions.get(ref);
      if (position !== undefined && comparePositions(entry, position) <= 0) {
        this.totals.repeated++;
        continue;
      }
      this.#positions.set(ref, { epoch: entry.epoch, sequence: entry.sequence });
      this.entries.push({ ref, entry });
      if (entry.kind === EntryKind.gap) this.#gap(ref, entry);
      else if (entry.kind === EntryKind.layout) this.#layout(ref, entry);
      else this.#frame(ref, entry);
    }
    return {
      frames: this.totals.frames - before.frames,
      samples: this.totals.samples - before.samples,
      repeated: this.totals.repeated - before.repeated,
      undecodable: this.totals.undecodable - before.undecodable,
      refused: {},
    };
  }

  #gap(ref: JournalRef, entry: JournalEntry): void {
    let gap: GapRecord;
    try {
      gap = decodeGap(entryPayload(entry));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return this.#lose(entry);
    }
    this.gaps.push(gap);
    const of = `${ref}/${entry.epoch}/`;
    for (const [key, group] of this.#groups) {
      if (gap.group === 0 ? key.startsWith(of) : key === `${of}${gap.group}`) {
        group.decoder = new FrameDecoder();
      }
    }
  }

  #layout(ref: JournalRef, entry: JournalEntry): void {
    const layout = decodeLayout(entryPayload(entry));
    const key = `${ref}/${entry.epoch}/${entry.group}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = {
        kind: layout.meta.kind,
        labels: new Map(),
        decoder: new FrameDecoder(),
        version: 0,
      };
      this.#groups.set(key, group);
    }
    if (layout.version !== group.version + 1) throw new Error('layout versions out of order');
    group.version = layout.version;
    layout.slots.forEach((slot, i) => {
      group.labels.set(layout.slotNumbers?.[i] ?? layout.firstSlot + i, slot.labels);
    });
  }

  #frame(ref: JournalRef, entry: JournalEntry): void {
    const group = this.#groups.get(`${ref}/${entry.epoch}/${entry.group}`);
    if (group === undefined) return this.#lose(entry);
    this.totals.frames++;
    if (group.kind === 'loose') {
      const frame = group.decoder.decodeLoose(entryPayload(entry), entry.time);
      for (let i = 0; i < frame.count; i++) {
        this.#sample(group, frame.slots[i], frame.times[i], frame.states[i], frame.values[i]);
      }
      return;
    }
    let frame: AlignedFrame;
    try {
      frame = group.decoder.decodeAligned(entryPayload(entry), entry.key);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return this.#lose(entry);
    }
    for (let slot = 0; slot < frame.slotCount; slot++) {
      if (frame.states[slot] === SampleState.none) continue;
      this.#sample(group, slot, entry.time, frame.states[slot], frame.values[slot]);
    }
  }

  #lose({ group, time }: JournalEntry): void {
    this.totals.undecodable++;
    this.lost.push({ group, time });
  }

  #sample(group: RecordedGroup, slot: number, time: number, state: number, value: number): void {
    this.totals.samples++;
    const labels = group.labels.get(slot);
    if (labels === undefined) throw new Error('sample of an unknown slot');
    const text = state === SampleState.stale ? 'stale' : String(value);
    this.samples.push(`${formatLabels(labels)} @${time} ${text}`);
  }
}
