import { readFileSync } from 'node:fs';
import { asDuration, asTime, labelsFromObject, makeMatcher } from '@canopy/model';
import { expect, it } from 'vitest';
import { type BlockGroup, BlockIndex, BlockIndexWriter, joinLayouts } from './block.js';
import { exampleBytes } from './testing/index.js';

function encodeIndex(groups: readonly BlockGroup[]): Uint8Array {
  const writer = new BlockIndexWriter();
  for (const group of groups) writer.add(group);
  const steps = writer.finish();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function group(
  number: number,
  series: ReadonlyArray<Record<string, string>>,
  position = 0,
): BlockGroup {
  const target = labelsFromObject({ job: 'n' });
  const meta = { kind: 'aligned', target, scrapeUrl: 'u', interval: asDuration(5000) } as const;
  const slots = series.map((labels) => ({ labels: labelsFromObject(labels), family: -1 }));
  return {
    epoch: 1,
    layout: {
      ...{ group: number, version: 1, meta: { ...meta, continues: 0 } },
      ...{ firstSlot: 0, firstFamily: 0, slots, slotNumbers: null },
      ...{ families: [], slotCount: slots.length },
    },
    steps: [{ firstSlot: 0, time: asTime(1000) }],
    tiles: [
      {
        ...{ position, byteLength: 100, firstSequence: 7, lastSequence: 9 },
        ...{ minTime: asTime(1000), maxTime: asTime(2000) },
      },
    ],
  };
}

it('has the bytes of its format page', () => {
  const page = readFileSync(new URL('block.format.md', import.meta.url), 'utf8');
  const groups = [
    group(3, [{ __name__: 'up', job: 'n' }]),
    group(4, [{ __name__: 'x', job: 'n' }], 100),
  ];
  const bytes = encodeIndex(groups);
  expect(Buffer.from(bytes).toString('hex')).toBe(
    Buffer.from(exampleBytes(page)[0]).toString('hex'),
  );
  const index = new BlockIndex(bytes);
  expect([0, 1].map((i) => [index.epoch(i), index.group(i)])).toEqual([
    [1, 3],
    [1, 4],
  ]);
  for (const i of [0, 1]) {
    expect(index.tiles(i)).toEqual(groups[i].tiles);
    expect(index.layout(i)).toEqual({ layout: groups[i].layout, steps: groups[i].steps });
  }
});

it('says which groups may have series', () => {
  const index = new BlockIndex(
    encodeIndex([
      group(1, [
        { __name__: 'up', zone: 'a' },
        { __name__: 'x', zone: 'b' },
      ]),
      group(2, [{ __name__: 'up' }], 100),
      group(3, [{ __name__: 'y', zone: 'a' }], 200),
    ]),
  );
  const check = (matchers: string[][], expected: number[]) => {
    const made = matchers.map(([name, op, value]) => makeMatcher(name, op as '=', value));
    expect(index.match(made)).toEqual(expected);
  };
  check([], [0, 1, 2]);
  check([['__name__', '=', 'up']], [0, 1]);
  check([['__name__', '=~', 'x|y']], [0, 2]);
  check([['__name__', '=', 'u']], []);
  check([['nothing', '=', 'up']], []);
  check([['zone', '=', '']], [0, 1, 2]); // a series without it may be anywhere
  check([['zone', '!=', 'a']], [0, 1, 2]); // so here
  check([['zone', '!=', '']], [0, 2]);
  check(
    [
      ['zone', '=', 'a'],
      ['__name__', '!~', 'x|y'],
    ],
    [0, 2],
  );
  check(
    [
      ['zone', '=', 'b'],
      ['__name__', '=', 'up'],
    ],
    [0],
  ); // of different series: group by group one cannot tell
  expect(index.labelNames().sort()).toEqual(['__name__', 'zone']);
  expect(index.labelValues('zone')).toEqual(['a', 'b']);
  expect(index.labelValues('nothing')).toEqual([]);
});

it('makes one layout of several records', () => {
  const family = (name: string) => ({ name, type: 'gauge' as const, help: '', unit: '' });
  const first = group(1, [{ a: '1' }, { a: '2' }]).layout;
  const more = group(1, [{ a: '3' }]).layout;
  const records = [
    {
      layout: {
        ...first,
        families: [family('f')],
        slots: first.slots.map((s) => ({ ...s, family: 0 })),
      },
      time: 10,
    },
    {
      layout: {
        ...{ ...more, version: 2, firstSlot: 2, firstFamily: 1, slotCount: 3 },
        families: [family('g')],
        slots: [{ ...more.slots[0], family: 1 }],
      },
      time: 20,
    },
  ];
  const { layout, steps } = joinLayouts(records);
  expect(layout.slots.map(({ labels, family: f }) => [labels[1], layout.families[f].name])).toEqual(
    [
      ['1', 'f'],
      ['2', 'f'],
      ['3', 'g'],
    ],
  );
  expect([layout.version, layout.slotCount, layout.slotNumbers]).toEqual([2, 3, null]);
  expect(steps).toEqual([
    { firstSlot: 0, time: 10 },
    { firstSlot: 2, time: 20 },
  ]);
  // A filtered view that left out the record between, and the first slots with it.
  const { layout: view } = joinLayouts([
    { ...records[1], layout: { ...records[1].layout, slotNumbers: [5], slotCount: 8 } },
  ]);
  expect([view.slotNumbers, view.slotCount, view.slots[0].family]).toEqual([[5], 8, 0]);
});
