/** What processes on a journal's way counted, in bytes. See ../frames.format.md, "Trail". */
import { type ByteReader, ByteWriter } from '@canopy/encoding';
import {
  BLOCK_WINDOW_MS,
  JOBS_MAX,
  JOB_LENGTH_MAX,
  type JobCounts,
  type JournalState,
  type LedgerWindow,
  type TrailLevel,
  parseLedger,
} from '@canopy/model';
import { readPosition, writePosition } from './ref.js';

/** Levels of a hierarchy. */
const LEVELS_MAX = 32;
const REASONS_MAX = 64;
const WINDOWS_MAX = 256;
/** Names of processes, jobs and reasons. UTF-16 units. */
const NAME_LENGTH_MAX = JOB_LENGTH_MAX;
/** It is stored with every commit: what is larger is not sent, and refused. */
export const TRAIL_BYTES_MAX = 256 * 1024;

/**
 * The way of a journal up to the process `name`, which has it in `state`; of the writer's windows those that a reader
 * with frames up to `since` (ms since epoch) may not have been told in full. `heard`: what was said since, of a journal that
 * nothing was written to any more. Empty where the way is not known: `isOwn` says whether this process writes the journal.
 */
export function trailOf(
  name: string,
  state: JournalState,
  isOwn: boolean,
  since: number,
  heard: readonly TrailLevel[],
): TrailLevel[] {
  const { trail: stored, frames, jobs, windows: all } = parseLedger(state.ledger);
  const trail = heard.length > 0 ? heard : stored;
  if (!isOwn && trail.length === 0) return [];
  const own: TrailLevel = {
    ...{ name: name.slice(0, NAME_LENGTH_MAX), position: state.position, frames, jobs },
    windows: isOwn ? all : [],
  };
  const oldest = since / BLOCK_WINDOW_MS - 1;
  return [...trail.slice(0, LEVELS_MAX - 1), own].map((level) => ({
    ...level,
    windows: level.windows.filter(([first, count]) => first + count > oldest),
  }));
}

/** None where it would be too large. */
export function writeTrail(writer: ByteWriter, trail: readonly TrailLevel[]): void {
  const body = new ByteWriter(256);
  writeLevels(body, trail);
  const bytes = body.view();
  if (bytes.length <= TRAIL_BYTES_MAX) writer.raw(bytes);
  else writer.varint(0);
}

function writeLevels(writer: ByteWriter, trail: readonly TrailLevel[]): void {
  writer.varint(trail.length);
  for (const { name, position, frames, jobs, windows } of trail) {
    writer.text(name);
    writePosition(writer, position);
    writer.varint(frames);
    writer.varint(windows.length);
    for (const window of windows) for (const number of window) writer.varint(number);
    const entries = Object.entries(jobs);
    writer.varint(entries.length);
    for (const [job, counts] of entries) {
      writer.text(job);
      writeCounts(writer, counts);
    }
  }
}

function writeCounts(writer: ByteWriter, counts: JobCounts): void {
  const { scraped, journalled, missed, frames, samples } = counts;
  for (const count of [scraped, journalled, missed, frames, samples]) writer.varint(count);
  const refused = Object.entries(counts.refused);
  writer.varint(refused.length);
  for (const [reason, count] of refused) {
    writer.text(reason);
    writer.varint(count);
  }
}

/** @throws FormatError */
export function readTrail(reader: ByteReader): TrailLevel[] {
  if (reader.remaining > TRAIL_BYTES_MAX) reader.fail('trail is larger than allowed');
  const trail: TrailLevel[] = [];
  for (let left = reader.count(LEVELS_MAX); left > 0; left--) {
    const name = readName(reader);
    const position = readPosition(reader);
    const frames = reader.varint();
    const windows: LedgerWindow[] = [];
    for (let count = reader.count(WINDOWS_MAX); count > 0; count--) {
      windows.push([reader.varint(), reader.varint(), reader.varint(), reader.varint()]);
    }
    const jobs: Record<string, JobCounts> = {};
    for (let count = reader.count(JOBS_MAX + 1); count > 0; count--) {
      const job = readName(reader);
      const counts = readCounts(reader);
      if (job !== '__proto__') jobs[job] = counts;
    }
    trail.push({ name, position, frames, jobs, windows });
  }
  return trail;
}

function readName(reader: ByteReader): string {
  const name = reader.text();
  if (name.length > NAME_LENGTH_MAX) reader.fail('name longer than allowed');
  return name;
}

function readCounts(reader: ByteReader): JobCounts {
  const scraped = reader.varint();
  const journalled = reader.varint();
  const missed = reader.varint();
  const frames = reader.varint();
  const samples = reader.varint();
  const refused: Record<string, number> = {};
  for (let count = reader.count(REASONS_MAX); count > 0; count--) {
    const reason = readName(reader);
    const refusals = reader.varint();
    if (reason !== '__proto__') refused[reason] = refusals;
  }
  return { scraped, journalled, refused, missed, frames, samples };
}
