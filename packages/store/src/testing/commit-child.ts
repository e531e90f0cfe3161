/**
 * A process for the kill -9 test: commits frames one after another and prints each position that
 * was acknowledged. Arguments: folder of the store, journal ref.
 */
import { asDuration } from '@canopy/model';
import { openEmbeddedStore } from '../embedded/open-embedded-store.js';
import { systemClock, testEntry } from './fixtures.js';

const [path, ref] = process.argv.slice(2);
const store = await openEmbeddedStore({
  path,
  maxBytes: 64 * 1024 * 1024,
  clock: systemClock,
  log: () => {},
  onCorrupt: () => {},
});
const outcome = await store.acquireLease(ref as never, 'child', asDuration(60_000));
if (!outcome.granted) throw new Error('the lease is held');
let expected = (await store.journal(ref as never))?.position ?? null;
for (;;) {
  const from = expected?.sequence ?? 0;
  const entries = Array.from({ length: 20 }, (_, i) =>
    testEntry({ epoch: 1, sequence: from + i + 1 }, i === 0 ? 'layout' : 'frame', 1, 2000),
  );
  const position = { epoch: 1, sequence: from + entries.length };
  const commit = { lease: outcome.lease, expected, position, entries, cursor: '', ledger: '{}' };
  const { outcome: result } = await store.commit(commit);
  if (result !== 'applied') throw new Error(result);
  process.stdout.write(`${position.sequence}\n`);
  expected = position;
}
