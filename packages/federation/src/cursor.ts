/**
 * A reader's place in one journal, as text the reader keeps but does not look into. See
 * frames.format.md, "Cursor".
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ByteReader, ByteWriter } from '@canopy/encoding';
import {
  FormatError,
  type JournalPosition,
  type JournalRef,
  comparePositions,
} from '@canopy/model';
import { readPosition, readRef, writePosition, writeRef } from './ref.js';

/** Readers' cursors, one text a journal, joined by dots. */
export const CURSOR_HEADER = 'canopy-cursor';
/** Journal ids the reader does not want (its own), joined by dots. */
export const EXCLUDE_HEADER = 'canopy-exclude';
/** Name of the reader, for the server's status page. */
export const READER_HEADER = 'canopy-reader';
/** Bytes of entries that a page should have at most, before compression. */
export const PAGE_BYTES_HEADER = 'canopy-page-bytes';

const VERSION = 1;
/** `told` follows. Flag 1 is of earlier servers, which did not say up to where. */
const TOLD = 2;
/** Signed: it ends with `SIGNATURE_BYTES`. */
const SIGNED = 4;
const SIGNATURE_BYTES = 8;
/** `proof` follows. */
const PROVEN = 8;
const FLAGS_MAX = 15;
/** A cursor is at most 1 + 1 + 21 + 16 + 9 + 8 + 16 + 4 + 8 bytes. */
const TEXT_LENGTH_MAX = 112;
/** Journals that a source may have, so cursors that its reader may hold. */
export const JOURNALS_MAX = 10_000;
/** Of CURSOR_HEADER, with so many. Bytes. */
export const CURSOR_HEADER_BYTES_MAX = JOURNALS_MAX * (TEXT_LENGTH_MAX + 1);
const BASE64URL = /^[A-Za-z0-9_-]+$/;

export interface Cursor {
  readonly ref: JournalRef;
  /** What was sent (or filtered out) up to here. */
  readonly position: JournalPosition;
  /**
   * No frame after `position` is of this time or before (ms since epoch): a gap begins there where the journal is trimmed
   * meanwhile. 0: not known.
   */
  readonly complete: number;
  /**
   * Of what is trimmed up to here a gap was sent. Counts while `position` is below it: its layouts are still coming.
   */
  readonly told: JournalPosition;
  /** A filtered view is rebuilt from this many sequence numbers before `position`. */
  readonly replay: number;
  /** Of the entry at `position` as the server had it (`proofOf`); undefined where there was none, or nobody noted it. */
  readonly proof: number | undefined;
}

export interface ReadCursor extends Cursor {
  /** Whoever has the key made it. */
  readonly isGenuine: boolean;
}

/** With a `key` (secret bytes) the cursor is signed. */
export function encodeCursor(cursor: Cursor, key?: Uint8Array): string {
  const writer = new ByteWriter(64);
  writer.u8(VERSION);
  const hasTold = comparePositions(cursor.told, cursor.position) > 0;
  const { proof } = cursor;
  const proven = proof === undefined ? 0 : PROVEN;
  writer.u8((hasTold ? TOLD : 0) | (key === undefined ? 0 : SIGNED) | proven);
  writeRef(writer, cursor.ref);
  writePosition(writer, cursor.position);
  writer.signed(cursor.complete);
  writer.varint(cursor.replay);
  if (hasTold) writePosition(writer, cursor.told);
  if (proof !== undefined) for (let i = 0; i < 32; i += 8) writer.u8((proof >>> i) & 0xff);
  if (key !== undefined) writer.raw(signatureOf(writer.view(), key));
  return Buffer.from(writer.view()).toString('base64url');
}

/** Without a `key` none is genuine. Undefined for a cursor of another version, or with flags of a later one. @throws FormatError */
export function decodeCursor(text: string, key?: Uint8Array): ReadCursor | undefined {
  if (text.length > TEXT_LENGTH_MAX || !BASE64URL.test(text)) {
    throw new FormatError('cursor is not one of ours');
  }
  const bytes = Buffer.from(text, 'base64url');
  const reader = new ByteReader(bytes);
  if (reader.u8() !== VERSION) return undefined;
  const flags = reader.u8();
  if (flags > FLAGS_MAX) return undefined;
  const ref = readRef(reader);
  const position = readPosition(reader);
  const complete = reader.signed();
  const replay = reader.varint();
  const told = (flags & TOLD) === 0 ? position : readPosition(reader);
  const proof = (flags & PROVEN) === 0 ? undefined : readProof(reader);
  const isGenuine = (flags & SIGNED) !== 0 && isSigned(bytes, reader.raw(SIGNATURE_BYTES), key);
  reader.end();
  return { ref, position, complete, told, replay, proof, isGenuine };
}

function readProof(reader: ByteReader): number {
  let proof = 0;
  for (let i = 0; i < 32; i += 8) proof |= reader.u8() << i;
  return proof >>> 0;
}

const signatureOf = (bytes: Uint8Array, key: Uint8Array): Uint8Array =>
  createHmac('sha256', key).update(bytes).digest().subarray(0, SIGNATURE_BYTES);

function isSigned(bytes: Uint8Array, signature: Uint8Array, key: Uint8Array | undefined): boolean {
  if (key === undefined) return false;
  return timingSafeEqual(signature, signatureOf(bytes.subarray(0, -SIGNATURE_BYTES), key));
}

/** The header of a reader that holds these cursors. */
export function joinCursors(cursors: readonly string[]): string {
  return cursors.join('.');
}

export interface ReadCursors {
  /** By the journal they belong to; of two for one journal the last counts. */
  readonly byRef: ReadonlyMap<JournalRef, ReadCursor>;
  /** Of another version: of which journal nobody knows. */
  readonly unread: number;
}

/** @throws FormatError */
export function parseCursors(header: string, cursorsMax: number, key?: Uint8Array): ReadCursors {
  const byRef = new Map<JournalRef, ReadCursor>();
  let unread = 0;
  if (header === '') return { byRef, unread };
  if (header.length > cursorsMax * (TEXT_LENGTH_MAX + 1)) {
    throw new FormatError('more cursors than journals may be asked for');
  }
  for (const text of header.split('.')) {
    const cursor = decodeCursor(text, key);
    if (cursor === undefined) unread++;
    else byRef.set(cursor.ref, cursor);
  }
  return { byRef, unread };
}
