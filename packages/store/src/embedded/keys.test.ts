import { describe, expect, it } from 'vitest';
import type { JournalRef } from '@canopy/model';
import {
  entryKey,
  groupKey,
  journalPrefix,
  keyAfter,
  keyAfterAll,
  readEntryKey,
  readGroupKey,
  refOfKey,
} from './keys.js';

const ID = '000102030405060708090a0b0c0d0e0f';

describe('keys of the embedded store', () => {
  it('are as keys.format.md shows', () => {
    const key = entryKey(journalPrefix(ID as JournalRef), 2, 258);
    expect(key.toString('hex')).toBe(`${ID}0000000000000000020000000000000102`);
    const view = journalPrefix(`${ID}.deadbeef` as JournalRef);
    expect(view.toString('hex')).toBe(`${ID}01deadbeef`);
  });

  it('say what they were made of', () => {
    for (const ref of [ID, `${ID}.00000000`, `${ID}.deadbeef`] as JournalRef[]) {
      const prefix = journalPrefix(ref);
      for (const sequence of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
        const entry = entryKey(prefix, 7, sequence);
        expect(readEntryKey(entry)).toEqual({ epoch: 7, sequence });
        expect(refOfKey(entry)).toBe(ref);
        const layout = groupKey(prefix, 7, 0xffffffff, sequence);
        expect(readGroupKey(layout)).toEqual({ epoch: 7, group: 0xffffffff, sequence });
      }
    }
  });

  it('are in the order of positions', () => {
    const prefix = journalPrefix(ID as JournalRef);
    const keys = [
      prefix,
      entryKey(prefix, 1, 1),
      entryKey(prefix, 1, 255),
      entryKey(prefix, 1, 256),
      keyAfter(entryKey(prefix, 1, 256)),
      entryKey(prefix, 1, 257),
      entryKey(prefix, 1, 2 ** 32),
      entryKey(prefix, 2, 0),
      keyAfterAll(prefix),
      journalPrefix(`${ID}.00000000` as JournalRef),
    ];
    for (let i = 1; i < keys.length; i++) expect(Buffer.compare(keys[i - 1], keys[i])).toBe(-1);
  });
});
