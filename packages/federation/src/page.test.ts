import { crc32c, encodeEntry, encodeGap } from '@canopy/encoding';
import { EntryKind, type JournalEntry, type JournalRef, asTime } from '@canopy/model';
import { expect, it } from 'vitest';
import type { Page } from './page-types.js';
import { decodePage, encodePage } from './page.js';
import { id } from './testing/rig.js';

const LIMITS = { pageBytesMax: 1 << 20, journalsMax: 4 };
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function gapEntry(epoch: number, sequence: number, time: number): JournalEntry {
  const gap = {
    group: 0,
    from: asTime(time - 1),
    to: asTime(time),
    cause: 'restart',
    frames: -1,
  } as const;
  const fields = { epoch, sequence, kind: EntryKind.gap, group: 0, time: gap.to, key: false };
  return encodeEntry(fields, encodeGap(gap));
}

const page: Page = {
  serverName: 'leaf',
  serverTime: 1000,
  report: undefined,
  excluded: [id('c')],
  journals: [
    {
      ref: id('a') as string as JournalRef,
      from: { epoch: 1, sequence: 5 },
      position: { epoch: 2, sequence: 4 },
      newest: { epoch: 2, sequence: 9 },
      trimmed: { epoch: 0, sequence: 0 },
      watermark: 990,
      keptFor: -1,
      more: true,
      epochBreak: false,
      cursor: 'Y3Vy',
      entries: [gapEntry(1, 7, 20), gapEntry(2, 1, 30), gapEntry(2, 4, 40)],
      behindBytes: 300,
      trail: [
        {
          ...{ name: 'leaf', position: { epoch: 2, sequence: 4 }, frames: 8 },
          jobs: {
            node: {
              ...{ scraped: 9, journalled: 7, refused: { format: 2 } },
              ...{ missed: 1, frames: 8, samples: 200 },
            },
          },
          windows: [[250000, 1, 8, 200]],
        },
      ],
    },
  ],
};

/** The worked example of frames.format.md, field by field. */
const GOLDEN = [
  '43465001', // magic, version
  '0107046c656166d00f', // section 1, 7 bytes: "leaf", 1000
  `0310${'c'.repeat(32)}`, // section 3, 16 bytes: one excluded journal
  `045c`, // section 4, 92 bytes
  `10${'a'.repeat(32)}`, // reference of 16 bytes
  '01', // flags: more
  '0105', // beginning after
  '0107', // position
  '0109', // newest
  '0000', // trimmed
  'bc0f', // watermark 990
  '01', // kept for: not known
  '0459335679', // cursor
  '0101', // epoch 1, one entry
  '070d130028050026280001fe95ecc1', // sequence 7, 13 bytes of record
  '00', // no more runs
  'ac02', // 300 bytes behind
  '01046c656166', // one level: "leaf"
  '0204', // as of
  '08', // frames
  '0190a10f0108c801', // one window: 250000, 1 of them, 8 frames, 200 samples
  '01046e6f6465', // one job: "node"
  '09070108c801', // scraped, journalled, missed, frames, samples
  '0106666f726d617402', // one reason: "format", 2
  'ecedd54d', // checksum
].join('');

it('has the bytes of the format page', () => {
  const journal = {
    ...page.journals[0],
    position: { epoch: 1, sequence: 7 },
    newest: { epoch: 1, sequence: 9 },
    entries: [gapEntry(1, 7, 20)],
  };
  const example = { ...page, journals: [journal] };
  expect(hex(encodePage(example))).toBe(GOLDEN);
  expect(decodePage(new Uint8Array(Buffer.from(GOLDEN, 'hex')), LIMITS)).toEqual(example);
});

it('comes back as it went', () => {
  expect(decodePage(encodePage(page), LIMITS)).toEqual(page);
});

/** Applies a change and mends the checksum, so that what is inside is looked at. */
function changed(change: (bytes: Uint8Array) => Uint8Array | void): Uint8Array {
  const bytes = encodePage(page).slice();
  const result = change(bytes) ?? bytes;
  new DataView(result.buffer, result.byteOffset).setUint32(
    result.length - 4,
    crc32c(result, 0, result.length - 4),
    true,
  );
  return result;
}

it('skips sections it does not know', () => {
  const bytes = changed((whole) => {
    const end = whole.length - 4;
    // Type 99, three bytes.
    return new Uint8Array([...whole.subarray(0, end), 99, 3, 1, 2, 3, 0, 0, 0, 0]);
  });
  expect(decodePage(bytes, LIMITS)).toEqual(page);
});

it('refuses what is not a whole page', () => {
  const check = (bytes: Uint8Array, message: RegExp, limits = LIMITS) =>
    expect(() => decodePage(bytes, limits)).toThrow(message);
  check(new Uint8Array(0), /too early/);
  check(Buffer.from('<html></html>'), /not a page/);
  check(encodePage(page).slice(0, -1), /checksum/);
  check(encodePage(page), /larger than allowed/, { ...LIMITS, pageBytesMax: 50 });
  check(encodePage(page), /more journals/, { ...LIMITS, journalsMax: 0 });
  const versioned = (version: number) => changed((bytes) => void (bytes[3] = version));
  check(versioned(2), /version 2/); // newer: parents are upgraded first
  check(versioned(0), /version 0/);
  const journal = page.journals[0];
  const withJournal = (part: Partial<typeof journal>) =>
    encodePage({ ...page, journals: [{ ...journal, ...part }] });
  check(withJournal({ position: { epoch: 2, sequence: 3 } }), /beyond the section/);
  check(withJournal({ from: { epoch: 1, sequence: 7 } }), /out of order/);
  check(withJournal({ from: { epoch: 3, sequence: 7 } }), /backwards/);
  check(withJournal({ newest: { epoch: 1, sequence: 7 } }), /beyond its journal/);
  check(encodePage({ ...page, journals: [journal, journal] }), /twice/);
  // An entry count no page could hold is refused before anything is made for it.
  const start = hex(encodePage(page)).indexOf('0459335679') / 2 + 5;
  check(
    changed((bytes) => void bytes.set([1, 0xff, 0xff, 0x03], start)),
    /out of range/,
  );
});

it('looks at no more of a name than names have', () => {
  const named = (serverName: string) => decodePage(encodePage({ ...page, serverName }), LIMITS);
  expect(named('n'.repeat(200)).serverName).toBe('n'.repeat(200));
  expect(named('n'.repeat(100_000))).toEqual({ ...page, serverName: 'n'.repeat(200) });
});

it('refuses counts without end, and sends none', () => {
  const [journal] = page.journals;
  const [level] = journal.trail;
  const withTrail = (...trail: (typeof level)[]) => ({
    ...page,
    journals: [{ ...journal, trail }],
  });
  const check = (name: string, message: RegExp) =>
    expect(() => decodePage(encodePage(withTrail({ ...level, name })), LIMITS)).toThrow(message);
  check('x'.repeat(201), /name longer/);
  expect(() => decodePage(encodePage(withTrail(...Array(33).fill(level))), LIMITS)).toThrow(
    /range/,
  );
  // A thousand jobs with names of 200 characters, twice.
  const { node } = level.jobs;
  const names = Array.from({ length: 1000 }, (_, i) => `${i}`.padStart(200, 'x'));
  const large = { ...level, jobs: Object.fromEntries(names.map((name) => [name, node])) };
  const limits = { ...LIMITS, pageBytesMax: 1 << 24 };
  expect(decodePage(encodePage(withTrail(large)), limits).journals[0].trail).toEqual([large]);
  expect(decodePage(encodePage(withTrail(large, large)), limits).journals[0].trail).toEqual([]);
});
