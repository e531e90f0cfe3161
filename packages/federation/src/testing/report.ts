/** What a process says of itself, for tests. */
import { type HierarchyStatus, JOURNAL_START, type JournalRef, emptyLedger } from '@canopy/model';

export function reportOf(ref: JournalRef, more: Partial<HierarchyStatus> = {}): HierarchyStatus {
  const place = { position: JOURNAL_START, trimmed: JOURNAL_START, lagSeconds: 0, entryBytes: 0 };
  return {
    ...{ role: 'leaf', name: 'leaf', url: 'http://leaf', version: '0', startTime: 0 },
    ...{ targets: { up: 1, down: 0, unknown: 0 }, activeSeries: 1, samplesPerSecond: 1 },
    journal: { ref, ledger: emptyLedger(), ...place },
    store: { kind: 'embedded', usedBytes: 0, limitBytes: 0, healthy: true, message: '' },
    ...{ sources: [], notices: [] },
    ...more,
  };
}
