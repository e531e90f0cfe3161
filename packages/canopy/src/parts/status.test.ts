import { expect, it } from 'vitest';
import {
  type JournalRef,
  type JournalState,
  type SourceStatus,
  emptyLedger,
  parseLedger,
} from '@canopy/model';
import { addStored, namedApart } from './status.js';

it('tells sources of one name apart, and leaves the others their names', () => {
  const source = (name: string, host: string) => ({ name, url: `http://${host}/federate` });
  const check = (given: ReadonlyArray<[string, string]>, expected: readonly string[]) =>
    expect(namedApart(given.map((one) => source(...one))).map(({ name }) => name)).toEqual(
      expected,
    );
  check(
    [
      ['east', 'a:1'],
      ['west', 'b:1'],
    ],
    ['east', 'west'],
  );
  check(
    [
      ['east', 'a:1'],
      ['west', 'b:1'],
      ['east', 'c:1'],
    ],
    ['east (a:1)', 'west', 'east (c:1)'],
  );
  // Of one process, asked for two things; or of two behind one address.
  check(
    [
      ['east', 'a:1'],
      ['east', 'b:1/x'],
      ['east', 'b:1/y'],
    ],
    ['east (a:1)', 'east (b:1/x/federate)', 'east (b:1/y/federate)'],
  );
});

it('shows on standby what the store has of sources that announce themselves to nobody', () => {
  const at = { epoch: 1, sequence: 9 };
  const stateOf = (ref: string, ...names: string[]): JournalState => {
    const trail = names.map((name) => ({ name, position: at, frames: 0, jobs: {}, windows: [] }));
    const ledger = JSON.stringify({ ...emptyLedger(), watermark: 5000, trail });
    const rest = { trimmed: at, cursor: '', entryBytes: 7 };
    return { ref: ref as JournalRef, position: at, ledger, ...rest };
  };
  const journalOf = ({ ledger, ...state }: JournalState) => ({
    ...{ ...state, ledger: parseLedger(ledger), lagSeconds: 1 },
  });
  const known: SourceStatus = {
    ...{ name: 'east', url: 'http://a:1', lastError: '' },
    ...{ health: 'unknown', kind: 'canopy' },
    ...{ journals: [journalOf(stateOf('a1', 'east'))], report: undefined, clockSkew: undefined },
    ...{ mayBeAwaySeconds: -1, hopLagSeconds: -1, behindBytes: -1 },
  };
  const found = new Map<string, SourceStatus>([['http://a:1/federate', known]]);
  const states = [
    ...[stateOf('a1', 'east'), stateOf('own')],
    // Through the one that is known, and through one that is not.
    ...[stateOf('b1', 'deep', 'east'), stateOf('c1', 'west'), stateOf('d1', 'deep', 'west')],
  ];
  addStored(found, states, journalOf);
  const shown = [...found.values()].map(({ name, url, health, journals }) => [
    ...[name, url, health],
    journals.map(({ ref, ledger }) => `${ref} ${ledger.watermark}`),
  ]);
  expect(shown).toEqual([
    ['east', 'http://a:1', 'unknown', ['a1 5000', 'b1 5000']],
    ['west', '', 'unknown', ['c1 5000', 'd1 5000']],
  ]);
  // Another of that name, of which the place is known, is told apart from it.
  const west = { ...known, name: 'west', url: 'http://b:1' };
  const names = namedApart([...found.values(), west]).map(({ name }) => name);
  expect(names).toEqual(['east', 'west', 'west (b:1)']);
});
