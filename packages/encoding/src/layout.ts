/**
 * The payload of a layout entry: slots and families added to a group. See layout.format.md.
 *
 * Distinct strings stand once, sorted and front-coded; labels that every slot has stand once;
 * a slot says only how its values differ from those of the slot before it with the same names.
 */
import {
  type Family,
  type GroupMeta,
  type Labels,
  type LayoutRecord,
  type LayoutSlot,
  type MetricType,
  asDuration,
  invariant,
} from '@canopy/model';
import { SLOTS_MAX } from './limits.js';
import { StringTable, readStrings } from './strings.js';
import { ByteReader, ByteWriter } from './varint.js';

const VERSION = 1;
const FLAG_LOOSE = 1;
const FLAG_FILTERED = 2;
export const GROUP_MAX = 0xffffffff;
/** Bounds what a few bytes can unfold to: shared labels come back in every slot. */
export const SHARED_MAX = 32;
/** A type's number is its place; new ones are added at the end. */
const TYPES: readonly MetricType[] = [
  'counter',
  'gauge',
  'histogram',
  'summary',
  'unknown',
  'gaugehistogram',
  'info',
  'stateset',
];

/** A record whose slots are columns: texts stand once, and labels are their numbers. */
export interface NumberedLayout extends Omit<LayoutRecord, 'slots'> {
  readonly texts: readonly string[];
  readonly slots: NumberedSlots;
}

/** Valid until the next record is decoded; columns are longer than what they hold. */
export interface NumberedSlots {
  readonly count: number;
  /** Label sets of all slots one after the other: name, value, name, …; names ascend within a slot. */
  readonly labels: Uint32Array;
  /** Where in `labels` each slot's set ends. */
  readonly ends: Uint32Array;
  /** As in `LayoutSlot`. */
  readonly families: Int32Array;
}

/** The label set of the last slot with the same names. */
interface Shape {
  readonly labels: number[];
  /** Where in `labels` the values stand that a slot gives itself. */
  readonly places: readonly number[];
}

/** Fresh bytes. */
export function encodeLayout(layout: LayoutRecord): Uint8Array {
  const { meta, slots, slotNumbers, families } = layout;
  invariant(layout.slotCount <= SLOTS_MAX, 'BUG: layout with too many slots');
  invariant(slotNumbers === null || slotNumbers.length === slots.length, 'BUG: slots not numbered');
  const shared = sharedLabels(slots);
  const strings = new StringTable();
  addLabels(strings, meta.target);
  for (const slot of slots) addLabels(strings, slot.labels);
  for (const { name, help, unit } of families) for (const s of [name, help, unit]) strings.add(s);
  strings.seal();

  const writer = new ByteWriter(1024);
  writer.u8(VERSION);
  writer.u8((meta.kind === 'loose' ? FLAG_LOOSE : 0) | (slotNumbers === null ? 0 : FLAG_FILTERED));
  writer.varint(layout.group);
  writer.varint(layout.version);
  writer.varint(meta.continues);
  writer.varint(meta.interval);
  writer.text(meta.scrapeUrl);
  strings.write(writer);
  writeLabels(writer, strings, meta.target);
  writer.varint(layout.firstFamily);
  writer.varint(families.length);
  for (const family of families) writeFamily(writer, strings, family);
  writer.varint(layout.slotCount);
  writer.varint(layout.firstSlot);
  writer.varint(slots.length);
  if (slotNumbers !== null) writeNumbers(writer, slotNumbers, layout.firstSlot);
  writeLabels(writer, strings, shared);
  writeSlots(writer, strings, slots, shared);
  return writer.copy();
}

/** Labels that every slot has, at most SHARED_MAX. */
export function sharedLabels(slots: readonly LayoutSlot[]): Labels {
  if (slots.length === 0) return [];
  let shared: string[] = slots[0].labels.slice(0, 2 * SHARED_MAX);
  for (const { labels } of slots) {
    let kept = 0;
    let j = 0;
    // Both ascend by name in the same order: what is shared is found on one walk.
    for (let i = 0; i < shared.length; i += 2) {
      let k = j;
      while (k < labels.length && labels[k] !== shared[i]) k += 2;
      if (k >= labels.length) continue;
      j = k + 2;
      if (labels[k + 1] !== shared[i + 1]) continue;
      shared[kept++] = shared[i];
      shared[kept++] = shared[i + 1];
    }
    if (kept < shared.length) shared = shared.slice(0, kept);
    if (kept === 0) break;
  }
  return shared;
}

export function addLabels(strings: StringTable, labels: Labels): void {
  for (const text of labels) strings.add(text);
}

export function writeLabels(writer: ByteWriter, strings: StringTable, labels: Labels): void {
  writer.varint(labels.length >> 1);
  for (const text of labels) writer.varint(strings.indexOf(text));
}

export function writeFamily(writer: ByteWriter, strings: StringTable, family: Family): void {
  const type = TYPES.indexOf(family.type);
  invariant(type >= 0, 'BUG: metric type without a number');
  writer.u8(type);
  for (const text of [family.name, family.help, family.unit]) writer.varint(strings.indexOf(text));
}

export function writeNumbers(
  writer: ByteWriter,
  numbers: readonly number[],
  firstSlot: number,
): void {
  let next = firstSlot;
  for (const number of numbers) {
    invariant(number >= next, 'BUG: slot numbers do not ascend');
    writer.varint(number - next);
    next = number + 1;
  }
}

export function writeSlots(
  writer: ByteWriter,
  strings: StringTable,
  slots: readonly LayoutSlot[],
  shared: Labels,
): void {
  const shapes = new Map<string, { number: number; last: number[] }>();
  let family = 0;
  for (const slot of slots) {
    const names: number[] = [];
    const values: number[] = [];
    for (let i = 0, j = 0; i < slot.labels.length; i += 2) {
      if (slot.labels[i] === shared[j] && slot.labels[i + 1] === shared[j + 1]) {
        j += 2;
        continue;
      }
      names.push(strings.indexOf(slot.labels[i]));
      values.push(strings.indexOf(slot.labels[i + 1]));
    }
    const key = names.join();
    let shape = shapes.get(key);
    if (shape === undefined) {
      // A shape is described where it is first used: a number one above all known ones.
      shape = { number: shapes.size, last: names.map(() => 0) };
      shapes.set(key, shape);
      writer.varint(shape.number);
      writer.varint(names.length);
      for (const name of names) writer.varint(name);
    } else writer.varint(shape.number);
    for (let i = 0; i < values.length; i++) {
      writer.signed(values[i] - shape.last[i]);
      shape.last[i] = values[i];
    }
    writer.signed(slot.family - family);
    family = slot.family;
  }
}

/**
 * Label sets and families are fresh; equal texts of a record are one string.
 * @throws FormatError
 */
export function decodeLayout(payload: Uint8Array): LayoutRecord {
  const { texts, slots, ...rest } = decodeNumberedLayout(payload);
  return { ...rest, slots: slotsOf(texts, slots) };
}

/** Fresh label sets. */
export function slotsOf(texts: readonly string[], slots: NumberedSlots): LayoutSlot[] {
  const { count, labels, ends, families } = slots;
  const list: LayoutSlot[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    const own: string[] = [];
    for (const end = ends[i]; at < end; at++) own.push(texts[labels[at]]);
    list.push({ labels: own, family: families[i] });
  }
  return list;
}

/** @throws FormatError */
export function decodeNumberedLayout(payload: Uint8Array): NumberedLayout {
  const reader = new ByteReader(payload);
  const { flags, group, version, strings: texts, meta } = readHead(reader);
  const firstFamily = reader.varint();
  const families = readFamilies(reader, texts);
  const slotCount = reader.count(SLOTS_MAX);
  const firstSlot = reader.count(slotCount);
  const count = reader.count(Math.min(slotCount - firstSlot, reader.remaining));
  const filtered = (flags & FLAG_FILTERED) !== 0;
  if (!filtered && firstSlot + count !== slotCount) reader.fail('slots that are not described');
  const slotNumbers = filtered ? readNumbers(reader, firstSlot, count, slotCount) : null;
  const shared = readLabels(reader, texts.length);
  if (shared.length > 2 * SHARED_MAX) reader.fail('too many shared labels');
  const slots = readSlots(reader, texts, count, shared, firstFamily + families.length);
  skipSections(reader);
  const place = { group, version, meta, firstSlot, firstFamily, slotCount };
  return { ...place, texts, slots, slotNumbers, families };
}

/**
 * What a record says of its group, without its slots.
 * @throws FormatError
 */
export function decodeLayoutMeta(payload: Uint8Array): GroupMeta {
  return readHead(new ByteReader(payload)).meta;
}

function readHead(reader: ByteReader) {
  if (reader.u8() !== VERSION) reader.fail('layout of an unknown version');
  const flags = reader.u8();
  const group = reader.count(GROUP_MAX);
  const version = reader.varint();
  const continues = reader.count(GROUP_MAX);
  const interval = asDuration(reader.varint());
  const scrapeUrl = reader.text();
  const strings = readStrings(reader);
  const target = labelsAt(strings, readLabels(reader, strings.length));
  const kind = flags & FLAG_LOOSE ? 'loose' : 'aligned';
  const meta: GroupMeta = { kind, target, scrapeUrl, interval, continues };
  return { flags, group, version, strings, meta };
}

/** What later versions add: type, length, bytes. */
function skipSections(reader: ByteReader): void {
  while (reader.remaining > 0) {
    reader.varint();
    reader.bytes();
  }
}

/** Pairs of string numbers; names ascend, for the table is sorted and label sets are too. */
export function readLabels(reader: ByteReader, stringCount: number): number[] {
  const count = reader.count(reader.remaining >> 1);
  const pairs: number[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.count(stringCount - 1);
    if (i > 0 && name <= pairs[2 * i - 2]) reader.fail('labels are not sorted');
    pairs.push(name, reader.count(stringCount - 1));
  }
  return pairs;
}

export function labelsAt(strings: readonly string[], pairs: readonly number[]): Labels {
  return pairs.map((number) => strings[number]);
}

export function readFamilies(reader: ByteReader, strings: readonly string[]): Family[] {
  const count = reader.count(reader.remaining >> 2);
  const last = strings.length - 1;
  const families: Family[] = [];
  for (let i = 0; i < count; i++) {
    const type = TYPES[reader.u8()];
    if (type === undefined) return reader.fail('unknown metric type');
    const name = strings[reader.count(last)];
    const help = strings[reader.count(last)];
    families.push({ name, type, help, unit: strings[reader.count(last)] });
  }
  return families;
}

export function readNumbers(
  reader: ByteReader,
  firstSlot: number,
  count: number,
  slotCount: number,
): number[] {
  const numbers: number[] = [];
  let next = firstSlot;
  for (let i = 0; i < count; i++) {
    const number = next + reader.varint();
    if (number >= slotCount) reader.fail('slot number out of range');
    numbers.push(number);
    next = number + 1;
  }
  return numbers;
}

/** Numbers of texts that are kept for the next record; a few bytes can unfold to far more. */
const SCRATCH_MAX = 1 << 18;
/** Columns of what was read last. */
let labelScratch = new Uint32Array(1024);
let endScratch = new Uint32Array(128);
let familyScratch = new Int32Array(128);

export function readSlots(
  reader: ByteReader,
  texts: readonly string[],
  count: number,
  shared: readonly number[],
  familyCount: number,
): NumberedSlots {
  const shapes: Shape[] = [];
  if (labelScratch.length > SCRATCH_MAX) labelScratch = new Uint32Array(1024);
  if (endScratch.length < count) {
    endScratch = new Uint32Array(2 * count);
    familyScratch = new Int32Array(2 * count);
  }
  let family = 0;
  let at = 0;
  for (let i = 0; i < count; i++) {
    const number = reader.count(shapes.length);
    if (number === shapes.length) shapes.push(readShape(reader, texts.length, shared));
    const { labels, places } = shapes[number];
    for (let j = 0; j < places.length; j++) {
      const value = labels[places[j]] + reader.signed();
      if (value < 0 || value >= texts.length) reader.fail('string number out of range');
      labels[places[j]] = value;
    }
    family += reader.signed();
    if (family < -1 || family >= familyCount) reader.fail('family number out of range');
    if (at + labels.length > labelScratch.length) growLabels(at + labels.length);
    for (let j = 0; j < labels.length; j++) labelScratch[at++] = labels[j];
    endScratch[i] = at;
    familyScratch[i] = family;
  }
  return { count, labels: labelScratch, ends: endScratch, families: familyScratch };
}

function growLabels(length: number): void {
  const grown = new Uint32Array(2 * length);
  grown.set(labelScratch);
  labelScratch = grown;
}

/** One sorted label set of the shared labels and a slot's own, these with 0 for their values. */
function readShape(reader: ByteReader, stringCount: number, shared: readonly number[]): Shape {
  const count = reader.count(reader.remaining);
  const labels: number[] = [];
  const places: number[] = [];
  let before = -1;
  let j = 0;
  for (let i = 0; i < count; i++) {
    const name = reader.count(stringCount - 1);
    if (name <= before) reader.fail('labels are not sorted');
    before = name;
    for (; j < shared.length && shared[j] < name; j += 2) labels.push(shared[j], shared[j + 1]);
    if (j < shared.length && shared[j] === name) reader.fail('a label comes twice');
    places.push(labels.length + 1);
    labels.push(name, 0);
  }
  for (; j < shared.length; j += 2) labels.push(shared[j], shared[j + 1]);
  return { labels, places };
}
