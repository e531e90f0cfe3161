import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeEntry } from '@canopy/encoding';
import { EntryKind, JOURNAL_START, type JournalRef, asDuration, asTime } from '@canopy/model';
import { expect, it } from 'vitest';
import { systemClock } from '../testing/fixtures.js';
import { openEmbeddedReader } from './embedded-reader.js';
import { openEmbeddedStore } from './open-embedded-store.js';

const REF = 'a'.repeat(32) as JournalRef;
const rest = { clock: systemClock, log: () => {}, onCorrupt: () => {} };
const LIMITS = { maxBytes: 1e6, maxEntries: 100 };

it('reads what was there when it was opened, beside the writer, and writes nothing', async () => {
  const path = await mkdtemp(join(tmpdir(), 'canopy-reader-'));
  try {
    await expect(openEmbeddedReader({ path, ...rest })).rejects.toMatchObject({
      code: 'storage_unavailable',
      message: `there is no store in ${path}`,
    });
    await using writer = await openEmbeddedStore({ path, maxBytes: 1e7, ...rest });
    const outcome = await writer.acquireLease(REF, 'me', asDuration(60_000));
    if (!outcome.granted) throw new Error('not granted');
    const { lease } = outcome;
    const commit = (sequence: number) => {
      const fields = { kind: EntryKind.frame, group: 1, time: asTime(sequence), key: true };
      const entry = encodeEntry({ epoch: 1, sequence, ...fields }, Uint8Array.of(sequence));
      const expected = sequence === 1 ? null : { epoch: 1, sequence: sequence - 1 };
      const place = { expected, position: { epoch: 1, sequence }, entries: [entry] };
      return writer.commit({ lease, ...place, cursor: '', ledger: `{"frames":${sequence}}` });
    };
    await commit(1);
    await commit(2);
    await using reader = await openEmbeddedReader({ path, ...rest });
    expect(await commit(3)).toEqual({ outcome: 'applied' });
    const read = await reader.readEntries(REF, JOURNAL_START, LIMITS);
    expect(read.map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect((await reader.journal(REF))!.ledger).toBe('{"frames":2}');
    await expect(reader.putDocument('x', 'y')).rejects.toThrow();
    expect(await writer.getDocument('x')).toBe(undefined);
    await using again = await openEmbeddedReader({ path, ...rest });
    expect((await again.journal(REF))!.position.sequence).toBe(3);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
});
