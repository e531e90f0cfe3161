/**
 * A block: the tiles of one source and a stretch of time laid end to end, and behind them an index
 * that says whose they are. See block.format.md.
 */
import {
  type BlockTile,
  type DurationMs,
  type Epoch,
  FormatError,
  type GroupId,
  type LayoutRecord,
  type LayoutStep,
  type Matcher,
  asDuration,
  asTime,
  invariant,
} from '@canopy/model';
import { crc32c } from './crc32c.js';
import {
  GROUP_MAX,
  SHARED_MAX,
  addLabels,
  encodeLayout,
  decodeLayout,
  labelsAt,
  readFamilies,
  readLabels,
  readNumbers,
  readSlots,
  sharedLabels,
  slotsOf,
  writeFamily,
  writeLabels,
  writeNumbers,
  writeSlots,
} from './layout.js';
import { SLOTS_MAX } from './limits.js';
import { StringTable, readStrings } from './strings.js';
import { ByteReader, ByteWriter } from './varint.js';

const MAGIC = 0x4243; // "CB"
const VERSION = 1;
const CRC_SIZE = 4;
const Section = { strings: 1, groups: 2, postings: 3 } as const;
const FLAG_LOOSE = 1;
const FLAG_FILTERED = 2;
/** Bounds what a walk over the groups allocates. */
const GROUPS_MAX = 1 << 24;

/** One group of a block; its layout is all of its records in one. */
export interface BlockGroup {
  readonly epoch: Epoch;
  readonly layout: LayoutRecord;
  /** When which slots were added; ascending, the first from slot 0 on. */
  readonly steps: readonly LayoutStep[];
  /** Ascending by sequence. */
  readonly tiles: readonly BlockTile[];
}

/** Layout records of one group, in order, as one that says the same of its slots. */
export function joinLayouts(
  records: ReadonlyArray<{ readonly layout: LayoutRecord; readonly time: number }>,
): { layout: LayoutRecord; steps: LayoutStep[] } {
  invariant(records.length > 0, 'BUG: a group without a layout');
  const families: LayoutRecord['families'][number][] = [];
  /** Number of a family over all records → its number here; a filtered view leaves some out. */
  const numbers = new Map<number, number>();
  const slots: LayoutRecord['slots'][number][] = [];
  const slotNumbers: number[] = [];
  const steps: LayoutStep[] = [];
  let filtered = false;
  for (const { layout, time } of records) {
    layout.families.forEach((family, i) => {
      numbers.set(layout.firstFamily + i, families.length);
      families.push(family);
    });
    layout.slots.forEach(({ labels, family }, i) => {
      slots.push({ labels, family: numbers.get(family) ?? -1 });
      slotNumbers.push(layout.slotNumbers?.[i] ?? layout.firstSlot + i);
    });
    filtered ||= layout.slotNumbers !== null;
    steps.push({ firstSlot: layout.firstSlot, time: asTime(time) });
  }
  const last = records[records.length - 1].layout;
  const { group, version, meta, slotCount } = last;
  steps[0] = { ...steps[0], firstSlot: 0 };
  return {
    layout: {
      ...{ group, version, meta, families, slots, slotCount },
      ...{ firstSlot: 0, firstFamily: 0 },
      slotNumbers: filtered || slots.length !== slotCount ? slotNumbers : null,
    },
    steps,
  };
}

/** A group that waits for all strings to be known; its layout is kept encoded, a tenth of the memory. */
interface WaitingGroup {
  readonly epoch: Epoch;
  readonly layout: Uint8Array;
  readonly steps: readonly LayoutStep[];
  readonly tiles: readonly BlockTile[];
}

/** Makes the index of a block. Groups are added in the order of their tiles' positions. */
export class BlockIndexWriter {
  readonly #strings = new StringTable();
  readonly #groups: WaitingGroup[] = [];

  get groupCount(): number {
    return this.#groups.length;
  }

  add({ epoch, layout, steps, tiles }: BlockGroup): void {
    addLabels(this.#strings, layout.meta.target);
    this.#strings.add(layout.meta.scrapeUrl);
    for (const { labels } of layout.slots) addLabels(this.#strings, labels);
    for (const { name, help, unit } of layout.families) {
      for (const text of [name, help, unit]) this.#strings.add(text);
    }
    this.#groups.push({ epoch, layout: encodeLayout(layout), steps, tiles });
  }

  /** Fresh bytes. Yields between groups, so that the caller can let others have their turn. */
  *finish(): Generator<void, Uint8Array> {
    const strings = this.#strings;
    strings.seal();
    const groups = new ByteWriter(1 << 14);
    const one = new ByteWriter(1 << 12);
    const postings: Postings = new Map();
    groups.varint(this.#groups.length);
    let position = 0;
    for (const [number, group] of this.#groups.entries()) {
      const layout = decodeLayout(group.layout);
      one.clear();
      one.varint(group.epoch);
      one.varint(layout.group);
      position = writeTiles(one, group.tiles, position);
      writeLayout(one, strings, layout, group.steps);
      groups.bytes(one.view());
      notePostings(postings, strings, layout, number);
      yield;
    }
    const writer = new ByteWriter(groups.length * 2 + 1024);
    writer.u8(MAGIC & 255);
    writer.u8(MAGIC >> 8);
    writer.u8(VERSION);
    one.clear();
    strings.write(one);
    writer.u8(Section.strings);
    writer.bytes(one.view());
    writer.u8(Section.groups);
    writer.bytes(groups.view());
    yield;
    one.clear();
    writePostings(one, postings, this.#groups.length);
    writer.u8(Section.postings);
    writer.bytes(one.view());
    writer.u32(crc32c(writer.view()));
    return writer.copy();
  }
}

/** Label name → value → groups that have it, all by number. */
type Postings = Map<number, Map<number, number[]>>;

function notePostings(
  postings: Postings,
  strings: StringTable,
  layout: LayoutRecord,
  group: number,
): void {
  for (const { labels } of layout.slots) {
    for (let i = 0; i < labels.length; i += 2) {
      const name = strings.indexOf(labels[i]);
      const value = strings.indexOf(labels[i + 1]);
      let byValue = postings.get(name);
      if (byValue === undefined) postings.set(name, (byValue = new Map()));
      const groups = byValue.get(value);
      if (groups === undefined) byValue.set(value, [group]);
      else if (groups[groups.length - 1] !== group) groups.push(group);
    }
  }
}

function writePostings(writer: ByteWriter, postings: Postings, groupCount: number): void {
  const one = new ByteWriter(1024);
  writer.varint(postings.size);
  let lastName = -1;
  for (const name of [...postings.keys()].sort((a, b) => a - b)) {
    const byValue = postings.get(name)!;
    one.clear();
    one.varint(byValue.size);
    let lastValue = -1;
    for (const value of [...byValue.keys()].sort((a, b) => a - b)) {
      const groups = byValue.get(value)!;
      one.varint(value - lastValue - 1);
      lastValue = value;
      const isAll = groups.length === groupCount;
      one.varint(isAll ? 0 : groups.length);
      for (let i = 0; !isAll && i < groups.length; i++) {
        one.varint(groups[i] - (i === 0 ? 0 : groups[i - 1] + 1));
      }
    }
    writer.varint(name - lastName - 1);
    lastName = name;
    writer.bytes(one.view());
  }
}

function writeTiles(writer: ByteWriter, tiles: readonly BlockTile[], from: number): number {
  let position = from;
  let sequence = 0;
  let time = 0;
  writer.varint(tiles.length);
  for (const tile of tiles) {
    invariant(tile.position >= position, 'BUG: tiles are not in the order of their positions');
    writer.varint(tile.position - position);
    writer.varint(tile.byteLength);
    writer.varint(tile.firstSequence - sequence);
    writer.varint(tile.lastSequence - tile.firstSequence);
    writer.signed(tile.minTime - time);
    writer.varint(tile.maxTime - tile.minTime);
    position = tile.position + tile.byteLength;
    sequence = tile.lastSequence;
    time = tile.maxTime;
  }
  return position;
}

function writeLayout(
  writer: ByteWriter,
  strings: StringTable,
  { meta, version, families, slots, slotNumbers, slotCount }: LayoutRecord,
  steps: readonly LayoutStep[],
): void {
  writer.u8((meta.kind === 'loose' ? FLAG_LOOSE : 0) | (slotNumbers === null ? 0 : FLAG_FILTERED));
  writer.varint(version);
  writer.varint(meta.continues);
  writer.varint(meta.interval);
  writer.varint(strings.indexOf(meta.scrapeUrl));
  writeLabels(writer, strings, meta.target);
  writer.varint(families.length);
  for (const family of families) writeFamily(writer, strings, family);
  writer.varint(slotCount);
  writer.varint(steps.length);
  let firstSlot = 0;
  let time = 0;
  for (const step of steps) {
    writer.varint(step.firstSlot - firstSlot);
    writer.signed(step.time - time);
    firstSlot = step.firstSlot;
    time = step.time;
  }
  writer.varint(slots.length);
  if (slotNumbers !== null) writeNumbers(writer, slotNumbers, 0);
  const shared = sharedLabels(slots);
  writeLabels(writer, strings, shared);
  writeSlots(writer, strings, slots, shared);
}

/** Reads the index of a block; groups are decoded one by one, when they are asked for. */
export class BlockIndex {
  readonly byteLength: number;
  readonly #bytes: Uint8Array;
  readonly #strings: string[];
  readonly #epochs: Epoch[] = [];
  readonly #groups: GroupId[] = [];
  /** Where each group's layout begins, and where the group ends. */
  readonly #layoutStarts: number[] = [];
  readonly #ends: number[] = [];
  readonly #tiles: BlockTile[][] = [];
  /** Label name → where its values stand. */
  readonly #names = new Map<string, readonly [from: number, to: number]>();

  /** @throws FormatError for bytes that are not an index or have a wrong checksum. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.byteLength = bytes.length;
    if (bytes.length < CRC_SIZE) throw new FormatError('block index is cut off', bytes.length);
    const end = bytes.length - CRC_SIZE;
    const reader = new ByteReader(bytes, 0, end);
    if ((reader.u8() | (reader.u8() << 8)) !== MAGIC) reader.fail('not a block index');
    if (reader.u8() !== VERSION) reader.fail('block index of an unknown version');
    if (crc32c(bytes, 0, end) !== new ByteReader(bytes, end).u32()) reader.fail('wrong checksum');
    const sections = new Map<number, ByteReader>();
    while (reader.remaining > 0) {
      const type = reader.varint();
      const size = reader.varint();
      const from = reader.position;
      reader.raw(size);
      sections.set(type, new ByteReader(bytes, from, from + size));
    }
    const [strings, groups, postings] = [Section.strings, Section.groups, Section.postings].map(
      (type) => sections.get(type) ?? reader.fail('block index without one of its sections'),
    );
    this.#strings = readStrings(strings);
    strings.end();
    this.#findGroups(groups);
    this.#findNames(postings);
  }

  get groupCount(): number {
    return this.#groups.length;
  }

  /** Bytes of strings and tables in memory, roughly. */
  get memoryBytes(): number {
    return this.byteLength + this.#strings.length * 56 + this.#groups.length * 200;
  }

  epoch(group: number): Epoch {
    return this.#epochs[group];
  }

  group(group: number): GroupId {
    return this.#groups[group];
  }

  /** Ascending by sequence; not to be written to. */
  tiles(group: number): readonly BlockTile[] {
    return this.#tiles[group];
  }

  /** @throws FormatError */
  layout(group: number): { layout: LayoutRecord; steps: LayoutStep[] } {
    const reader = new ByteReader(this.#bytes, this.#layoutStarts[group], this.#ends[group]);
    return readLayout(reader, this.#strings, this.#groups[group]);
  }

  /**
   * Numbers of the groups that may have series for which all matchers match, ascending: each
   * matcher matches some series of such a group.
   * @throws FormatError
   */
  match(matchers: readonly Matcher[]): number[] {
    let left: Uint8Array | null = null;
    for (const matcher of matchers) {
      // Series without the label are in every group, as far as this index knows.
      if (matcher.matches('')) continue;
      const found = new Uint8Array(this.groupCount);
      this.#eachValue(matcher.name, (value, reader) => {
        const wanted = matcher.op === '=' ? value === matcher.value : matcher.matches(value);
        readGroups(reader, this.groupCount, wanted ? found : null);
      });
      if (left !== null) for (let i = 0; i < found.length; i++) found[i] &= left[i];
      left = found;
    }
    const groups: number[] = [];
    for (let i = 0; i < this.groupCount; i++) if (left === null || left[i] === 1) groups.push(i);
    return groups;
  }

  labelNames(): string[] {
    return [...this.#names.keys()];
  }

  /** @throws FormatError */
  labelValues(name: string): string[] {
    const values: string[] = [];
    this.#eachValue(name, (value, reader) => {
      values.push(value);
      readGroups(reader, this.groupCount, null);
    });
    return values;
  }

  #findGroups(reader: ByteReader): void {
    const count = reader.count(Math.min(GROUPS_MAX, reader.remaining));
    let position = 0;
    for (let i = 0; i < count; i++) {
      const size = reader.varint();
      const from = reader.position;
      reader.raw(size);
      const group = new ByteReader(this.#bytes, from, from + size);
      this.#epochs.push(group.varint());
      this.#groups.push(group.count(GROUP_MAX));
      const tiles = readTiles(group, position);
      const last = tiles.at(-1);
      if (last !== undefined) position = last.position + last.byteLength;
      this.#tiles.push(tiles);
      this.#layoutStarts.push(group.position);
      this.#ends.push(from + size);
    }
    reader.end();
  }

  #findNames(reader: ByteReader): void {
    const count = reader.count(reader.remaining >> 1);
    let name = -1;
    for (let i = 0; i < count; i++) {
      name += 1 + reader.varint();
      if (name >= this.#strings.length) reader.fail('string number out of range');
      const size = reader.varint();
      const from = reader.position;
      reader.raw(size);
      this.#names.set(this.#strings[name], [from, from + size]);
    }
    reader.end();
  }

  /** Calls `visit` with each value of a label; it has to read the value's groups. */
  #eachValue(name: string, visit: (value: string, reader: ByteReader) => void): void {
    const place = this.#names.get(name);
    if (place === undefined) return;
    const reader = new ByteReader(this.#bytes, ...place);
    const count = reader.count(reader.remaining >> 1);
    let value = -1;
    for (let i = 0; i < count; i++) {
      value += 1 + reader.varint();
      if (value >= this.#strings.length) reader.fail('string number out of range');
      visit(this.#strings[value], reader);
    }
    reader.end();
  }
}

/** `found` null: reads over them. */
function readGroups(reader: ByteReader, groupCount: number, found: Uint8Array | null): void {
  const count = reader.count(groupCount);
  if (count === 0) found?.fill(1);
  let group = -1;
  for (let i = 0; i < count; i++) {
    group += 1 + reader.varint();
    if (group >= groupCount) reader.fail('group number out of range');
    if (found !== null) found[group] = 1;
  }
}

function readTiles(reader: ByteReader, from: number): BlockTile[] {
  const count = reader.count(Math.floor(reader.remaining / 6));
  const tiles: BlockTile[] = [];
  let position = from;
  let sequence = 0;
  let time = 0;
  for (let i = 0; i < count; i++) {
    position += reader.varint();
    const byteLength = reader.varint();
    const firstSequence = sequence + reader.varint();
    sequence = firstSequence + reader.varint();
    const minTime = time + reader.signed();
    time = minTime + reader.varint();
    if (!Number.isSafeInteger(position + byteLength) || !Number.isSafeInteger(sequence)) {
      reader.fail('tile out of range');
    }
    tiles.push({
      ...{ position, byteLength, firstSequence, lastSequence: sequence },
      ...{ minTime: asTime(minTime), maxTime: asTime(time) },
    });
    position += byteLength;
  }
  return tiles;
}

function readLayout(
  reader: ByteReader,
  strings: readonly string[],
  group: GroupId,
): { layout: LayoutRecord; steps: LayoutStep[] } {
  const flags = reader.u8();
  const version = reader.varint();
  const continues = reader.count(GROUP_MAX);
  const interval: DurationMs = asDuration(reader.varint());
  const scrapeUrl = strings[reader.count(strings.length - 1)];
  const target = labelsAt(strings, readLabels(reader, strings.length));
  const kind = flags & FLAG_LOOSE ? 'loose' : 'aligned';
  const meta = { kind, target, scrapeUrl, interval, continues } as const;
  const families = readFamilies(reader, strings);
  const slotCount = reader.count(SLOTS_MAX);
  const steps: LayoutStep[] = [];
  let firstSlot = 0;
  let time = 0;
  for (let left = reader.count(reader.remaining >> 1); left > 0; left--) {
    firstSlot += reader.varint();
    time += reader.signed();
    steps.push({ firstSlot, time: asTime(time) });
  }
  if (steps.length === 0 || steps[0].firstSlot !== 0) reader.fail('layout without its first step');
  const count = reader.count(Math.min(slotCount, reader.remaining));
  const filtered = (flags & FLAG_FILTERED) !== 0;
  if (!filtered && count !== slotCount) reader.fail('slots that are not described');
  const slotNumbers = filtered ? readNumbers(reader, 0, count, slotCount) : null;
  const shared = readLabels(reader, strings.length);
  if (shared.length > 2 * SHARED_MAX) reader.fail('too many shared labels');
  const slots = slotsOf(strings, readSlots(reader, strings, count, shared, families.length));
  const places = { firstSlot: 0, firstFamily: 0 };
  return {
    layout: { group, version, meta, ...places, slots, slotNumbers, families, slotCount },
    steps,
  };
}
