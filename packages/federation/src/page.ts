/**
 * A page in bytes: typed sections between a short head and a checksum. See ../frames.format.md.
 */
import {
  ByteReader,
  ByteWriter,
  crc32c,
  decodeEntry,
  entryPayload,
  unfoldedBytes,
} from '@canopy/encoding';
import {
  EntryKind,
  FormatError,
  type HierarchyStatus,
  type JournalEntry,
  type JournalId,
  type JournalPosition,
  type JournalRef,
  comparePositions,
  errorText,
  journalIdOf,
} from '@canopy/model';
import type { JournalSection, Page } from './page-types.js';
import { isReport } from './report.js';
import { readId, readPosition, readRef, writeId, writePosition, writeRef } from './ref.js';
import { readTrail, writeTrail } from './trail.js';

/** As it stands in `Accept` and `Content-Type`. */
export const FRAMES_MEDIA_TYPE = 'application/vnd.canopy.frames;version=1';

const MAGIC = [0x43, 0x46, 0x50]; // CFP
const VERSION = 1;
/** Readers take this version and the one before (there is none yet). */
const OLDEST_VERSION = 1;
const CRC_SIZE = 4;
const HEAD_SIZE = MAGIC.length + 1;

const SECTION_SERVER = 1;
const SECTION_REPORT = 2;
const SECTION_EXCLUDED = 3;
const SECTION_JOURNAL = 4;

const MORE = 1;
const EPOCH_BREAK = 2;
const BEGUN_ANEW = 4;

/** The smallest record: head, group, time, length, checksum; then its length and sequence. */
const ENTRY_SIZE_MIN = 10;
const EXCLUDED_MAX = 64;
/** Of a server's name; more of it is not looked at. UTF-16 units. */
const NAME_LENGTH_MAX = 200;
/** Flag of a layout record: not all slots are there. */
const LAYOUT_FILTERED = 2;
/** Entries of one page: each costs objects beside its bytes. Servers stop at half of it. */
export const PAGE_ENTRIES_MAX = 1 << 17;

/** What a layout record may unfold to, about, in bytes: it is unfolded at once. Writers make records of a few thousand slots. */
const UNFOLDED_BYTES_MAX = 64 * 1024 * 1024;
/** JSON takes many times its size in memory. A larger report is not sent, and not looked at. */
const REPORT_BYTES_MAX = 8 * 1024 * 1024;

/** Why a page is refused: bytes that are no whole page, a version, a size, or what it says of itself. */
export type RefusalReason = 'damaged' | 'version' | 'too_large' | 'inconsistent';

/** A page that is refused before anything in it is looked at. */
export class RefusedPage extends FormatError {
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason, message: string, offset?: number) {
    super(message, offset);
    this.reason = reason;
  }
}

export interface PageLimits {
  /** A larger page is refused. Bytes. */
  readonly pageBytesMax: number;
  readonly journalsMax: number;
}

/** Returns fresh bytes. */
export function encodePage(page: Page): Uint8Array {
  let entryBytes = 0;
  for (const { entries } of page.journals) {
    for (const entry of entries) entryBytes += entry.bytes.length + 8;
  }
  const writer = new ByteWriter(entryBytes + 1024 + 256 * page.journals.length);
  for (const byte of MAGIC) writer.u8(byte);
  writer.u8(VERSION);
  const body = new ByteWriter(1024);
  const section = (type: number): void => {
    writer.varint(type);
    writer.bytes(body.view());
    body.clear();
  };
  body.text(page.serverName);
  body.signed(page.serverTime);
  section(SECTION_SERVER);
  const report = page.report && Buffer.from(JSON.stringify(page.report), 'utf8');
  if (report !== undefined && report.length <= REPORT_BYTES_MAX) {
    body.raw(report);
    section(SECTION_REPORT);
  }
  if (page.excluded.length > 0) {
    for (const id of page.excluded) writeId(body, id);
    section(SECTION_EXCLUDED);
  }
  for (const journal of page.journals) {
    writeJournal(body, journal);
    section(SECTION_JOURNAL);
  }
  writer.u32(crc32c(writer.view()));
  return writer.view();
}

function writeJournal(writer: ByteWriter, journal: JournalSection): void {
  writeRef(writer, journal.ref);
  const broken = journal.epochBreak ? EPOCH_BREAK : 0;
  const anew = journal.begunAnew === true ? BEGUN_ANEW : 0;
  writer.u8((journal.more ? MORE : 0) | broken | anew);
  writePosition(writer, journal.from);
  writePosition(writer, journal.position);
  writePosition(writer, journal.newest);
  writePosition(writer, journal.trimmed);
  writer.signed(journal.watermark);
  writer.signed(journal.keptFor);
  writer.text(journal.cursor);
  const { entries } = journal;
  for (let i = 0; i < entries.length; ) {
    const { epoch } = entries[i];
    let end = i + 1;
    while (end < entries.length && entries[end].epoch === epoch) end++;
    writer.varint(epoch);
    writer.varint(end - i);
    for (let sequence = 0; i < end; i++) {
      const entry = entries[i];
      writer.varint(entry.sequence - sequence);
      writer.bytes(entry.bytes);
      sequence = entry.sequence;
    }
  }
  // No run: the entries end here, and what later versions add follows.
  writer.varint(0);
  writer.varint(journal.behindBytes);
  writeTrail(writer, journal.trail);
}

/**
 * Reads a page; entries are views into `bytes`. Every checksum is verified.
 * @throws FormatError for anything that is not a whole, undamaged page.
 */
export function decodePage(bytes: Uint8Array, limits: PageLimits): Page {
  if (bytes.length > limits.pageBytesMax)
    throw new RefusedPage('too_large', 'page is larger than allowed');
  if (bytes.length < HEAD_SIZE + CRC_SIZE)
    throw new RefusedPage('damaged', 'page ends too early', 0);
  for (let i = 0; i < MAGIC.length; i++) {
    if (bytes[i] !== MAGIC[i]) throw new RefusedPage('damaged', 'not a page of frames', i);
  }
  const version = bytes[MAGIC.length];
  if (version < OLDEST_VERSION || version > VERSION) {
    throw new RefusedPage('version', `page of version ${version}; this reader knows ${VERSION}`);
  }
  const end = bytes.length - CRC_SIZE;
  if (crc32c(bytes, 0, end) !== new ByteReader(bytes, end).u32()) {
    throw new RefusedPage('damaged', 'page has a wrong checksum', end);
  }
  const reader = new ByteReader(bytes, HEAD_SIZE, end);
  let server: { name: string; time: number } | undefined;
  let report: HierarchyStatus | undefined;
  let unusable: Pick<Page, 'isReportUnusable'> = {};
  const excluded: JournalId[] = [];
  const journals: JournalSection[] = [];
  let entryCount = 0;
  while (reader.remaining > 0) {
    const type = reader.varint();
    const size = reader.count(reader.remaining);
    const start = reader.position;
    const body = new ByteReader(bytes, start, start + size);
    reader.raw(size);
    if (type === SECTION_SERVER) server = readServer(body);
    else if (type === SECTION_REPORT) {
      report = readReport(body);
      if (report === undefined) unusable = { isReportUnusable: true };
    } else if (type === SECTION_EXCLUDED) readExcluded(body, excluded);
    else if (type === SECTION_JOURNAL) {
      if (journals.length >= limits.journalsMax) reader.fail('more journals than allowed');
      const journal = readJournal(body, PAGE_ENTRIES_MAX - entryCount);
      entryCount += journal.entries.length;
      journals.push(journal);
    }
  }
  if (server === undefined) throw new FormatError('page without its server section');
  if (new Set(journals.map((journal) => journal.ref)).size !== journals.length) {
    throw new FormatError('page has a journal twice');
  }
  return {
    serverName: server.name,
    serverTime: server.time,
    report,
    ...unusable,
    excluded,
    journals,
  };
}

/** Its name stands in metrics and on pages of others. */
function readServer(reader: ByteReader): { name: string; time: number } {
  return { name: reader.text().slice(0, NAME_LENGTH_MAX), time: reader.signed() };
}

function readExcluded(reader: ByteReader, excluded: JournalId[]): void {
  while (reader.remaining > 0) {
    if (excluded.length >= EXCLUDED_MAX) reader.fail('too many excluded journals');
    excluded.push(readId(reader));
  }
}

/** One that is of no use is as none: what a page carries does not depend on it. */
function readReport(reader: ByteReader): HierarchyStatus | undefined {
  if (reader.remaining > REPORT_BYTES_MAX) return undefined;
  const text = Buffer.from(reader.raw(reader.remaining)).toString('utf8');
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`report is not JSON: ${errorText(error)}`);
  }
  return isReport(report) ? report : undefined;
}

function readJournal(reader: ByteReader, entriesMax: number): JournalSection {
  const ref = readRef(reader);
  const flags = reader.u8();
  const from = readPosition(reader);
  const position = readPosition(reader);
  const newest = readPosition(reader);
  const trimmed = readPosition(reader);
  const watermark = reader.signed();
  const keptFor = reader.signed();
  const cursor = reader.text();
  if (comparePositions(position, from) < 0) reader.fail('section goes backwards');
  if (comparePositions(position, newest) > 0 && comparePositions(position, from) > 0) {
    reader.fail('section goes beyond its journal');
  }
  const entries = readEntries(reader, from, position, entriesMax);
  checkLayouts(entries, ref);
  // Earlier servers do not write these.
  const behindBytes = reader.remaining > 0 ? reader.varint() : 0;
  const trail = reader.remaining > 0 ? readTrail(reader) : [];
  return {
    ref,
    from,
    position,
    newest,
    trimmed,
    watermark,
    keptFor,
    more: (flags & MORE) !== 0,
    epochBreak: (flags & EPOCH_BREAK) !== 0,
    ...((flags & BEGUN_ANEW) === 0 ? {} : { begunAnew: true }),
    cursor,
    entries,
    behindBytes,
    trail,
  };
}

/** Before anybody unfolds them. */
function checkLayouts(entries: readonly JournalEntry[], ref: JournalRef): void {
  const isView = (ref as string) !== journalIdOf(ref);
  for (const entry of entries) {
    if (entry.kind !== EntryKind.layout) continue;
    const payload = entryPayload(entry);
    // Slots that nothing is said of are of views only.
    const isFiltered = payload.length > 1 && (payload[1] & LAYOUT_FILTERED) !== 0;
    if (isFiltered && !isView) throw new FormatError('slots left out of a whole journal');
    let bytes = 0;
    try {
      bytes = unfoldedBytes(payload, UNFOLDED_BYTES_MAX);
    } catch (error) {
      // Nobody can read it: whoever tries counts that.
      if (!(error instanceof FormatError)) throw error;
    }
    if (bytes > UNFOLDED_BYTES_MAX) {
      throw new RefusedPage('too_large', 'a layout unfolds to more than allowed');
    }
  }
}

function readEntries(
  reader: ByteReader,
  from: JournalPosition,
  position: JournalPosition,
  entriesMax: number,
): JournalEntry[] {
  const entries: JournalEntry[] = [];
  let last = from;
  for (;;) {
    const epoch = reader.varint();
    if (epoch === 0) break;
    const room = Math.min(
      entriesMax - entries.length,
      Math.floor(reader.remaining / ENTRY_SIZE_MIN),
    );
    const count = reader.count(room);
    let sequence = 0;
    for (let i = 0; i < count; i++) {
      sequence += reader.varint();
      if (sequence > Number.MAX_SAFE_INTEGER) reader.fail('sequence out of range');
      const entry = decodeEntry(epoch, sequence, reader.bytes());
      if (comparePositions(entry, last) <= 0) reader.fail('entries out of order');
      last = entry;
      entries.push(entry);
    }
  }
  if (comparePositions(last, position) > 0) reader.fail('entries beyond the section');
  return entries;
}
