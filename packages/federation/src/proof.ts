/** What shows that two processes have the same entry under a number: its record's own checksum. */
import { decodeGap, entryPayload } from '@canopy/encoding';
import { EntryKind, FormatError, type GapCause, type JournalEntry } from '@canopy/model';

const CRC_BYTES = 4;

/**
 * Undefined for gaps that stand for what was lost on one way and may be there on another (`trimmed`, `corrupt`): they show
 * nothing.
 */
export function proofOf(entry: JournalEntry): number | undefined {
  if (entry.kind === EntryKind.gap) {
    const cause = causeOf(entry);
    if (cause === undefined || cause === 'trimmed' || cause === 'corrupt') return undefined;
  }
  const { buffer, byteOffset, byteLength } = entry.bytes;
  return new DataView(buffer, byteOffset + byteLength - CRC_BYTES).getUint32(0, true);
}

/** Undefined for one of a later version. */
function causeOf(entry: JournalEntry): GapCause | undefined {
  try {
    return decodeGap(entryPayload(entry)).cause;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
