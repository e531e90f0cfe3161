/**
 * Two laws: what was encoded comes back; any bytes give a page or a FormatError, in bounded time
 * and memory.
 */
import { crc32c, encodeEntry } from '@canopy/encoding';
import {
  EntryKind,
  FormatError,
  type JournalEntry,
  type JournalRef,
  type TrailLevel,
  asTime,
  comparePositions,
} from '@canopy/model';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Cursor, decodeCursor, encodeCursor } from './cursor.js';
import { CURSOR_KEY } from './testing/rig.js';
import type { JournalSection, Page } from './page-types.js';
import { decodePage, encodePage } from './page.js';
import { reportOf } from './testing/report.js';

const rounds = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300);
const LIMITS = { pageBytesMax: 1 << 20, journalsMax: 50 };

const digits = (length: number) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((b) => Buffer.from(b).toString('hex'));
const ref = fc
  .tuple(digits(16), fc.option(digits(4)))
  .map(([id, hash]) => (hash === null ? id : `${id}.${hash}`) as JournalRef);
const sequence = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.maxSafeNat().filter((n) => n > 0),
);
const position = fc.record({ epoch: fc.integer({ min: 1, max: 5 }), sequence });
const time = fc.integer({ min: -1000, max: 4e12 });

const nat = fc.maxSafeNat();
const key = fc.string({ maxLength: 50 }).filter((text) => text !== '__proto__');
const level: fc.Arbitrary<TrailLevel> = fc.record({
  name: fc.string(),
  position,
  frames: nat,
  jobs: fc.dictionary(
    key,
    fc.record({
      ...{ scraped: nat, journalled: nat, missed: nat, frames: nat, samples: nat },
      refused: fc.dictionary(key, nat, { maxKeys: 3, noNullPrototype: true }),
    }),
    { maxKeys: 3, noNullPrototype: true },
  ),
  windows: fc.array(fc.tuple(nat, nat, nat, nat), { maxLength: 3 }),
});

const section: fc.Arbitrary<JournalSection> = fc
  .record({
    ref,
    steps: fc.array(fc.record({ gap: fc.integer({ min: 1, max: 1000 }), next: fc.boolean() }), {
      maxLength: 20,
    }),
    payload: fc.uint8Array({ maxLength: 40 }),
    key: fc.boolean(),
    trimmed: position,
    watermark: time,
    keptFor: time,
    more: fc.boolean(),
    epochBreak: fc.boolean(),
    cursor: fc.string(),
    behindBytes: fc.nat(),
    trail: fc.array(level, { maxLength: 3 }),
  })
  .map(({ steps, payload, key, ...fields }) => {
    const from = { epoch: 1, sequence: 0 };
    let at = from;
    const entries: JournalEntry[] = [];
    for (const { gap, next } of steps) {
      at = next
        ? { epoch: at.epoch + 1, sequence: gap }
        : { epoch: at.epoch, sequence: at.sequence + gap };
      const header = { ...at, kind: EntryKind.frame, group: gap, time: asTime(gap), key };
      entries.push(encodeEntry(header, payload));
    }
    return { ...fields, from, position: at, newest: at, entries };
  });

const page: fc.Arbitrary<Page> = fc.record({
  serverName: fc.string(),
  serverTime: time,
  report: fc.constantFrom(undefined, reportOf('a'.repeat(32) as JournalRef)),
  excluded: fc.array(digits(16) as never, { maxLength: 3 }),
  journals: fc.uniqueArray(section, { maxLength: 5, selector: (one) => one.ref }),
});

const check = (
  property: fc.IProperty<[Page]> | fc.IProperty<[Uint8Array]> | fc.IProperty<[Cursor]>,
) => fc.assert(property as fc.IProperty<unknown>, { numRuns: rounds });

it('decode ∘ encode = identity', () => {
  check(
    fc.property(page, (one) => {
      expect(decodePage(encodePage(one), LIMITS)).toEqual(one);
    }),
  );
});

function mustRefuseOrRead(bytes: Uint8Array): void {
  try {
    decodePage(bytes, LIMITS);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
}

it('takes or refuses any bytes', () => {
  check(
    fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
      mustRefuseOrRead(body);
      const whole = new Uint8Array([0x43, 0x46, 0x50, 1, ...body, 0, 0, 0, 0]);
      new DataView(whole.buffer).setUint32(
        whole.length - 4,
        crc32c(whole, 0, whole.length - 4),
        true,
      );
      mustRefuseOrRead(whole);
    }),
  );
});

it('takes or refuses a page with changed bytes under a right checksum', () => {
  fc.assert(
    fc.property(
      page,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      (one, changes) => {
        const bytes = encodePage(one).slice();
        const end = bytes.length - 4;
        for (const [at, value] of changes) bytes[4 + (at % (end - 4))] = value;
        new DataView(bytes.buffer).setUint32(end, crc32c(bytes, 0, end), true);
        mustRefuseOrRead(bytes);
      },
    ),
    { numRuns: rounds },
  );
});

it('cursors: both laws', () => {
  const cursor = fc.record({
    ref,
    position,
    complete: time,
    told: position,
    replay: fc.maxSafeNat(),
    proof: fc.option(fc.nat(0xffffffff), { nil: undefined }),
  });
  check(
    fc.property(cursor, (one) => {
      // What was told counts above the position only.
      const told = comparePositions(one.told, one.position) > 0 ? one.told : one.position;
      const read = { ...one, told };
      expect(decodeCursor(encodeCursor(one))).toEqual({ ...read, isGenuine: false });
      const signed = encodeCursor(one, CURSOR_KEY);
      expect(decodeCursor(signed, CURSOR_KEY)).toEqual({ ...read, isGenuine: true });
      expect(decodeCursor(signed)).toEqual({ ...read, isGenuine: false });
    }),
  );
  fc.assert(
    fc.property(fc.oneof(fc.base64String(), fc.string()), (text) => {
      try {
        decodeCursor(text);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }),
    { numRuns: rounds },
  );
});
