import {
  CanopyError,
  type Family,
  FormatError,
  type Labels,
  formatLabels,
  labelsKey,
  labelsOf,
} from '@canopy/model';
import { describe, expect, test } from 'vitest';
import { type ScrapeColumns, ScrapeParser } from './index.js';
import { WALKERS, ensureWalkers } from './testing/walkers.js';

await ensureWalkers();

/** A resolver as the scrape loop has one: slots by label set, `dropped` by metric name. */
class Resolver {
  readonly slots = new Map<string, number>();
  readonly names: string[] = [];
  readonly families: Array<Family | undefined> = [];
  readonly described: Family[] = [];
  calls = 0;
  resolve(labels: Labels, family: Family | undefined): number {
    this.calls++;
    const sorted = sort(labels);
    const name = formatLabels(sorted);
    if (name.startsWith('dropped')) return -1;
    if (name.startsWith('refused')) throw new CanopyError('limit', 'refused by the resolver');
    const key = labelsKey(sorted);
    let slot = this.slots.get(key);
    if (slot === undefined) {
      slot = this.names.length;
      this.slots.set(key, slot);
      this.names.push(name);
      this.families.push(family);
    }
    return slot;
  }
  describe(family: Family): void {
    this.described.push(family);
  }
}

function sort(labels: Labels): Labels {
  const pairs: Array<[string, string]> = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i], labels[i + 1]]);
  return labelsOf(pairs);
}

const META = '# HELP a Help of a.\n# TYPE a gauge\n';

const aligned = (resolver: Resolver, columns: ScrapeColumns): Record<string, number> => {
  const found: Record<string, number> = {};
  for (let slot = 0; slot < columns.slotCount; slot++) {
    if (columns.states[slot] !== 0) found[resolver.names[slot]] = columns.values[slot];
  }
  return found;
};

describe.each(WALKERS)('walked by $name', ({ walker }) => {
  function make(
    options: Partial<{ honorTimestamps: boolean; maxSeries: number; keepBody: boolean }> = {},
  ) {
    const resolver = new Resolver();
    const parser = new ScrapeParser({
      resolver,
      honorTimestamps: true,
      maxSeries: 1000,
      walker,
      ...options,
    });
    return { resolver, parser };
  }

  /** Parses bodies in turn with one parser; the last one must give `expected`. */
  function check(bodies: string[], expected: Record<string, number>): void {
    const { resolver, parser } = make();
    let columns: ScrapeColumns | undefined;
    for (const body of bodies) columns = parser.parse(Buffer.from(body));
    expect(aligned(resolver, columns!)).toEqual(expected);
  }

  describe('one body after another', () => {
    test.each<[string, string[], Record<string, number>]>([
      ['one', ['a 1\nb 2\n'], { a: 1, b: 2 }],
      ['the same', ['a 1\nb 2\n', 'a 1\nb 2\n'], { a: 1, b: 2 }],
      ['a value changes', ['a 1\nb 2\n', 'a 1\nb 3\n'], { a: 1, b: 3 }],
      ['a value gets longer', ['a 1\nb 2\n', 'a 10\nb 2\n'], { a: 10, b: 2 }],
      ['a value gets shorter', ['a 10\nb 2\n', 'a 1\nb 2\n'], { a: 1, b: 2 }],
      [
        'a value becomes odd',
        ['a 1\nb 2\n', 'a NaN\nb 7.424100000000001e-05\n'],
        { a: NaN, b: 7.424100000000001e-5 },
      ],
      ['a series comes', ['a 1\nc 3\n', 'a 1\nb 2\nc 3\n'], { a: 1, b: 2, c: 3 }],
      ['a series goes', ['a 1\nb 2\nc 3\n', 'a 1\nc 3\n'], { a: 1, c: 3 }],
      ['the last series goes', ['a 1\nb 2\n', 'a 1\n'], { a: 1 }],
      ['all go', ['a 1\n', ''], {}],
      ['all go and come again', ['a 1\nb 2\n', '', 'a 4\nb 5\n'], { a: 4, b: 5 }],
      ['order changes', ['a 1\nb 2\nc 3\n', 'c 3\na 1\nb 2\n'], { a: 1, b: 2, c: 3 }],
      ['one goes and comes again', ['a 1\nb 2\n', 'a 1\n', 'b 2\na 1\n'], { a: 1, b: 2 }],
      ['metadata goes', [`${META}a 1\nb 2\n`, 'a 1\nb 2\n'], { a: 1, b: 2 }],
      ['metadata comes', ['a 1\nb 2\n', `${META}a 1\nb 3\n`], { a: 1, b: 3 }],
      ['metadata grows', [`${META}a 1\nb 2\n`, `# x\n${META}a 1\nb 2\n`], { a: 1, b: 2 }],
      ['a name grows out of another', ['a+1\n', 'a1 5\n'], { a1: 5 }],
      ['labels come', ['a 1\n', 'a {x="y"} 1\n'], { 'a{x="y"}': 1 }],
      ['more blanks', ['a 1\n', 'a  1\n'], { a: 1 }],
      ['the final newline goes', ['a 1\nb 2\n', 'a 1\nb 2'], { a: 1, b: 2 }],
      [
        'a newline in a label value',
        ['a{x="1\n2"} 1\nb 2\n', 'a{x="1\n2"} 3\nb 2\n'],
        { 'a{x="1\\n2"}': 3, b: 2 },
      ],
      ['the same series written twice: the first wins', ['a 1\na 2\n', 'a 3\na 4\n'], { a: 3 }],
      [
        'the same series in two spellings: the first wins',
        ['a{x="1",y="2"} 1\na{y="2",x="1"} 2\n'],
        { 'a{x="1", y="2"}': 1 },
      ],
      ['a dropped series', ['dropped 1\na 2\n', 'dropped 3\na 4\n'], { a: 4 }],
    ])('%s', (_name, bodies, expected) => check(bodies, expected));

    test('counts', () => {
      const { parser } = make();
      const parse = (body: string): number[] => {
        const c = parser.parse(Buffer.from(body));
        return [c.samplesScraped, c.samplesKept, c.seriesAdded, c.duplicates];
      };
      expect(parse('a 1\nb 2\ndropped 3\na 4\n')).toEqual([4, 3, 2, 1]);
      expect(parse('a 1\nb 2\ndropped 3\na 4\n')).toEqual([4, 3, 0, 1]);
      expect(parse('a 1\n')).toEqual([1, 1, 0, 0]);
      expect(parse('a 1\nb 2\nc 3\n')).toEqual([3, 3, 2, 0]); // b came again
    });

    test('each text is resolved once while it is remembered', () => {
      const { resolver, parser } = make();
      for (const body of [
        'a 1\nb 1\n',
        'b 2\na 2\n',
        'a 3\n',
        'a 4\nb 4\n',
        'dropped 1\n',
        'dropped 2\n',
      ]) {
        parser.parse(Buffer.from(body));
      }
      expect(resolver.calls).toBe(3);
    });

    test('in step, then not: values, counts and slots', () => {
      const { resolver, parser } = make();
      const parse = (body: string): unknown => {
        const c = parser.parse(Buffer.from(body));
        return [aligned(resolver, c), c.samplesScraped, c.samplesKept, c.seriesAdded, c.duplicates];
      };
      expect(parse('a 1\nb 2\ndropped 1\n')).toEqual([{ a: 1, b: 2 }, 3, 2, 2, 0]);
      expect(parse('a 1\nb 3\ndropped 2\n')).toEqual([{ a: 1, b: 3 }, 3, 2, 0, 0]);
      expect(() => parse('a 7\nb 8\ndropped x\n')).toThrow('line 3');
      expect(parse('a 1\nb 3.25\ndropped 2\n')).toEqual([{ a: 1, b: 3.25 }, 3, 2, 0, 0]);
      expect(parse('a 1 5\nb 4\ndropped 2\n')).toEqual([{ b: 4 }, 3, 2, 0, 0]); // a at its own time
      expect(parse('a 1\nb 4\ndropped 2\n')).toEqual([{ a: 1, b: 4 }, 3, 2, 0, 0]);
      expect(parse('b 5\nc 6\n')).toEqual([{ b: 5, c: 6 }, 2, 2, 1, 0]);
      parser.renumber(Int32Array.of(2, 1, 0));
      resolver.names.reverse();
      expect(parse('b 5\nc 6\n')).toEqual([{ b: 5, c: 6 }, 2, 2, 0, 0]);
    });

    test('the body may be reused', () => {
      const { resolver, parser } = make();
      const body = Buffer.from('a 1\nb 2\n');
      parser.parse(body);
      body.fill(0x78);
      expect(aligned(resolver, parser.parse(Buffer.from('a 1\nb 3\n')))).toEqual({ a: 1, b: 3 });
    });

    test('parsers do not disturb one another', () => {
      const one = make();
      const two = make();
      one.parser.parse(Buffer.from('a 1\nb 2\n'));
      two.parser.parse(Buffer.from('c 1\nb 2\nd 4\n'));
      expect(aligned(one.resolver, one.parser.parse(Buffer.from('a 1\nb 2\n')))).toEqual({
        a: 1,
        b: 2,
      });
    });
  });

  describe('times', () => {
    const loose = (resolver: Resolver, c: ScrapeColumns): unknown[] =>
      Array.from({ length: c.looseCount }, (_, i) => [
        resolver.names[c.looseSlots[i]],
        c.looseTimes[i],
        c.looseValues[i],
        c.looseStates[i],
      ]);

    test('samples with times of their own are apart', () => {
      const { resolver, parser } = make();
      parser.parse(Buffer.from('a 1 100\nb 2\na 2 200\na 3 200\n'));
      const columns = parser.parse(Buffer.from('a 1 100\nb 2\na 2 250\na 3 250\n'));
      expect(loose(resolver, columns)).toEqual([
        ['a', 100, 1, 1],
        ['a', 250, 2, 1],
      ]);
      expect(aligned(resolver, columns)).toEqual({ b: 2 });
      expect(columns.duplicates).toBe(1);
      const without = parser.parse(Buffer.from('a 1\nb 2\n'));
      expect([without.looseCount, aligned(resolver, without)]).toEqual([0, { a: 1, b: 2 }]);
    });

    test('are ignored where they are not honoured', () => {
      const { resolver, parser } = make({ honorTimestamps: false });
      const columns = parser.parse(Buffer.from('a 1 100\n'));
      expect([columns.looseCount, aligned(resolver, columns)]).toEqual([0, { a: 1 }]);
    });
  });

  describe('refused scrapes', () => {
    test.each<[string, string, string]>([
      ['garbage', 'a 5\nb 6\nx{', 'format'],
      ['a new series, then garbage', 'a 5\nc 6\nx{', 'format'],
      ['changed metadata, then garbage', '# TYPE a counter\na 5\nx{', 'format'],
      ['the resolver refuses', 'a 5\nc 1\nrefused 1\n', 'limit'],
      ['a changed value is garbage', 'a 5x\nb 2\n', 'format'],
      ['too many samples', 'a 1\n'.repeat(1001), 'limit'],
    ])('%s', (_name, body, code) => {
      const { resolver, parser } = make();
      const good = Buffer.from(`${META}a 1\nb 2\n`);
      parser.parse(good);
      expect(() => parser.parse(Buffer.from(body))).toThrow(expect.objectContaining({ code }));
      const columns = parser.parse(good);
      expect(aligned(resolver, columns)).toEqual({ a: 1, b: 2 });
      expect(columns.seriesAdded).toBe(0);
      parser.parse(Buffer.from('c 1\na 1\n'));
      expect(resolver.described.filter((family) => family.type === 'counter')).toEqual([]);
    });

    test('what a refused scrape brought is asked for again', () => {
      const { resolver, parser } = make();
      parser.parse(Buffer.from('a 1\n'));
      expect(() => parser.parse(Buffer.from('a 1\nb 2\nx{'))).toThrow(FormatError);
      parser.parse(Buffer.from('a 1\nb 2\n'));
      expect(resolver.calls).toBe(3);
    });

    test('an error names the line', () => {
      const { parser } = make();
      parser.parse(Buffer.from('a 1\nb 2\n'));
      expect(() => parser.parse(Buffer.from('a 1\nb x\n'))).toThrow(FormatError);
      expect(() => parser.parse(Buffer.from('a 1\nb x\n'))).toThrow(
        'line 2: invalid syntax, got "x"',
      );
    });
  });

  describe('families', () => {
    const family = (type: Family['type'], name = 'a', help = ''): Family => ({
      name,
      type,
      help,
      unit: '',
    });

    test('a series knows its family, suffixes as its type has them', () => {
      const { resolver, parser } = make();
      parser.parse(
        Buffer.from(
          '# HELP h H\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n' +
            '# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 1\ns_bucket 1\n# TYPE g gauge\ng 1\ng_count 1\n',
        ),
      );
      const h = family('histogram', 'h', 'H');
      const s = family('summary', 's');
      expect(resolver.families).toEqual([
        h,
        h,
        h,
        h,
        s,
        s,
        undefined,
        family('gauge', 'g'),
        undefined,
      ]);
      expect(resolver.names[0]).toBe('h_bucket{le="1.0"}'); // as Prometheus 3 spells it
      expect(resolver.described).toEqual([]);
    });

    test('what comes late or changes is described once', () => {
      const { resolver, parser } = make();
      parser.parse(Buffer.from('a 1\nb_count 1\n'));
      expect(resolver.described).toEqual([]);
      parser.parse(
        Buffer.from(
          '# HELP a x\n# TYPE a gauge\na 1\n# TYPE b summary\nb_count 1\n# TYPE c gauge\n',
        ),
      );
      expect(resolver.described).toEqual([family('gauge', 'a', 'x'), family('summary', 'b')]);
      parser.parse(
        Buffer.from(
          '# HELP a y\n# TYPE a gauge\na 1\n# TYPE b summary\nb_count 1\n# TYPE c gauge\n',
        ),
      );
      expect(resolver.described.slice(2)).toEqual([family('gauge', 'a', 'y')]);
    });

    test('metadata of a refused scrape is read again', () => {
      const { resolver, parser } = make();
      const good = '# TYPE a gauge\na 1\n';
      parser.parse(Buffer.from(good));
      expect(() => parser.parse(Buffer.from('# TYPE a counter\na 1\n!'))).toThrow();
      parser.parse(Buffer.from(good));
      expect(resolver.described.at(-1)).toEqual(family('gauge'));
    });
  });

  describe('memory', () => {
    test('renumber moves and forgets', () => {
      const { resolver, parser } = make();
      parser.parse(Buffer.from('a 1\nb 2\nc 3\ndropped 1\n'));
      parser.renumber(Int32Array.of(-1, 0, 1));
      const calls = resolver.calls;
      resolver.names.splice(0, 3, 'b', 'c');
      resolver.slots.clear();
      resolver.slots.set(labelsKey(['__name__', 'b']), 0).set(labelsKey(['__name__', 'c']), 1);
      const columns = parser.parse(Buffer.from('a 1\nb 2\nc 3\ndropped 1\n'));
      expect(aligned(resolver, columns)).toEqual({ b: 2, c: 3, a: 1 });
      expect(resolver.calls - calls).toBe(1); // only a is new
      expect(columns.seriesAdded).toBe(1);
    });

    test('forget keeps what was seen lately', () => {
      const { resolver, parser } = make();
      parser.parse(Buffer.from('# TYPE a gauge\na 1\nb 1\nc 1\n'));
      parser.parse(Buffer.from('b 2\nc 2\n'));
      parser.parse(Buffer.from('c 3\n'));
      parser.forget(2); // a was not in the last two
      const calls = resolver.calls;
      expect(aligned(resolver, parser.parse(Buffer.from('c 4\nb 4\n')))).toEqual({ c: 4, b: 4 });
      expect(resolver.calls).toBe(calls);
      expect(aligned(resolver, parser.parse(Buffer.from('a 5\nc 5\n')))).toEqual({ a: 5, c: 5 });
      expect(resolver.calls).toBe(calls + 1);
    });

    test('nothing is kept of a body where that is asked for', () => {
      const { resolver, parser } = make({ keepBody: false });
      const body = '# HELP a x\n# TYPE a gauge\na 1\nb 2\n';
      for (let round = 0; round < 3; round++) {
        const columns = parser.parse(Buffer.from(body));
        expect(aligned(resolver, columns)).toEqual({ a: 1, b: 2 });
        expect([columns.samplesKept, columns.seriesAdded]).toEqual([2, round === 0 ? 2 : 0]);
        parser.forget(1);
      }
      expect(resolver.calls).toBe(6);
      expect(parser.lastBody.length).toBe(0);
      expect(resolver.described).toEqual([]);
      parser.parse(Buffer.from(body.replace('x', 'y')));
      expect(resolver.described).toEqual([{ name: 'a', type: 'gauge', help: 'y', unit: '' }]);
    });

    test('churn is bounded without being told', () => {
      const { resolver, parser } = make({ maxSeries: 100 });
      for (let round = 0; round < 50; round++) {
        let body = '';
        for (let i = 0; i < 90; i++) body += `a{i="${round * 90 + i}"} ${i}\n`;
        const columns = parser.parse(Buffer.from(body));
        expect(columns.samplesKept).toBe(90);
      }
      expect(resolver.calls).toBe(50 * 90);
    });
  });
});
