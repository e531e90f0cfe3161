/** What a store has of a journal that is pulled. */
import { type JournalPosition, type JournalState, type Ledger, parseLedger } from '@canopy/model';

export interface Known {
  readonly position: JournalPosition;
  readonly trimmed: JournalPosition;
  readonly cursor: string;
  readonly ledger: Ledger;
  readonly entryBytes: number;
}

export function knownFrom(state: JournalState): Known {
  const { position, trimmed, cursor, entryBytes } = state;
  return { position, trimmed, cursor, entryBytes, ledger: parseLedger(state.ledger) };
}

/** It was given back from the appender to a store that had lost it: no source was asked for it since, so there is no cursor. */
export const isGivenBack = (known: Known | null): boolean => known?.cursor === '';
