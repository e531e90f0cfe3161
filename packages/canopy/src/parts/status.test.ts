import { expect, it } from 'vitest';
import { namedApart } from './status.js';

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
