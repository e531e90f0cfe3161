/**
 * What a reader asks for: all of each journal, or what its `match[]` lets through.
 */
import { createHash } from 'node:crypto';
import {
  CanopyError,
  type JournalRef,
  type Labels,
  type Matcher,
  formatMatchers,
  journalIdOf,
  journalRef,
  matchesAll,
} from '@canopy/model';

const HASH_DIGITS = 8;
const SELECTORS_MAX = 64;

export interface Selection {
  /** A series passes where it matches one of the sets; null lets everything through. */
  readonly matcherSets: ReadonlyArray<readonly Matcher[]> | null;
  /** Spelling of the selection that does not depend on how it was written; '' for everything. */
  readonly canonical: string;
}

/** @throws CanopyError `bad_data` for a selector that cannot be read. */
export function selectionOf(
  selectors: readonly string[],
  parseSelector: (text: string) => Matcher[],
): Selection {
  if (selectors.length === 0) return { matcherSets: null, canonical: '' };
  if (selectors.length > SELECTORS_MAX) {
    throw new CanopyError('bad_data', `more than ${SELECTORS_MAX} match[] selectors`);
  }
  const matcherSets = selectors.map(parseSelector);
  const texts = matcherSets.map((set) =>
    set
      .map((matcher) => formatMatchers([matcher]))
      .sort()
      .join(''),
  );
  return { matcherSets, canonical: [...new Set(texts)].sort().join('\n') };
}

/**
 * The reference of the view that a selection makes of a stored journal, which may be a view itself.
 */
export function viewRef(stored: JournalRef, selection: Selection): JournalRef {
  if (selection.matcherSets === null) return stored;
  const id = journalIdOf(stored);
  const through = stored.slice(id.length + 1);
  const hash = createHash('sha256').update(`${through}\n${selection.canonical}`).digest('hex');
  return journalRef(id, hash.slice(0, HASH_DIGITS));
}

export function isSelected(
  matcherSets: ReadonlyArray<readonly Matcher[]>,
  labels: Labels,
): boolean {
  return matcherSets.some((set) => matchesAll(set, labels));
}
