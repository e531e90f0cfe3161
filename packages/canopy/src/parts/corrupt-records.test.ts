import { type GapRecord, type JournalRef, asTime } from '@canopy/model';
import { expect, it } from 'vitest';
import { CorruptRecords } from './corrupt-records.js';

const REF = 'a'.repeat(32) as JournalRef;
const gap: GapRecord = { group: 1, from: asTime(1), to: asTime(9), cause: 'corrupt', frames: 1 };

it('counts and says a record once, and names what is missing each time: a ledger may have been lost with its store', () => {
  const said: string[] = [];
  const named: GapRecord[] = [];
  const records = new CorruptRecords(
    (level, message) => void said.push(`${level} ${message}`),
    (_ref, missing) => void named.push(missing),
  );
  const entry = {
    journal: REF,
    what: 'entry',
    place: '1-4',
    message: 'its checksum',
    gap,
  } as const;
  records.note(entry);
  records.note(entry);
  records.note({ ...entry, place: '1-5', gap: null });
  expect(records.count).toBe(2);
  expect(said).toHaveLength(2);
  expect(named).toEqual([gap, gap]);
  expect([...records.missing()]).toEqual([{ ref: REF, gap }]);
});
