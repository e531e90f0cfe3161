import { encodeEntry, encodeLayout } from '@canopy/encoding';
import {
  EntryKind,
  type Family,
  type JournalEntry,
  type LayoutRecord,
  asDuration,
  asTime,
} from '@canopy/model';
import { expect, it } from 'vitest';
import { Families } from '../series/families.js';
import { Origins } from '../series/origins.js';
import { numberSlots } from '../series/numbered-texts.js';
import { SeriesIndex } from '../series/series-index.js';
import { GroupLayout } from './layout.js';

const described = (help: string): Family => ({ name: 'x', type: 'gauge', help, unit: '' });
const AT = { group: 1, time: asTime(0), key: false };
const META = { kind: 'aligned', target: [], scrapeUrl: '', continues: 0 } as const;

/** The step of a layout that says once more what `x` is, and adds no slot. */
const step = (version: number, ...families: Family[]): LayoutRecord => ({
  ...{ group: 1, version, meta: { ...META, interval: asDuration(1000) } },
  ...{ firstSlot: version === 1 ? 0 : 1, firstFamily: version - 1, slotCount: 1 },
  slots: version === 1 ? [{ labels: ['__name__', 'x'], family: 0 }] : [],
  ...{ slotNumbers: null, families },
});

const entryOf = (record: LayoutRecord): JournalEntry =>
  encodeEntry(
    { epoch: 1, sequence: record.version, ...AT, kind: EntryKind.layout },
    encodeLayout(record),
  );

it('a family that is described anew is not told of as it was before', () => {
  const families = new Families();
  const shared = { series: new SeriesIndex(10), origins: new Origins(), families };
  const layouts = [new GroupLayout(shared, 0), new GroupLayout(shared, 1)];
  const told = () => (families.all().get('x') ?? []).map(({ help }) => help).sort();
  const extend = (layout: GroupLayout, record: LayoutRecord, row: number) =>
    layout.extend({ ...record, ...numberSlots(record.slots) }, entryOf(record), row);
  for (const layout of layouts) extend(layout, step(1, described('old')), 0);
  extend(layouts[0], step(2, described('new')), 1);
  expect(layouts[0].family(0)?.help).toBe('new');
  expect(told()).toEqual(['new', 'old']); // the other group still says so
  extend(layouts[1], step(2, described('new')), 1);
  expect(told()).toEqual(['new']);
  layouts[1].restore(step(3, described('new'), described('newer')), [
    { firstSlot: 0, time: asTime(0) },
  ]);
  expect(told()).toEqual(['new', 'newer']);
  layouts[0].tell(false); // its group has ended
  expect(told()).toEqual(['newer']);
  layouts[0].tell(true);
  expect(told()).toEqual(['new', 'newer']);
  for (const layout of layouts) layout.release([]);
  expect(told()).toEqual([]);
});

it('gives its records as they were journalled, or none', () => {
  const place = { epoch: 1, group: 1, meta: { ...META, interval: asDuration(1000) } };
  const check = (records: LayoutRecord[], seriesMax: number, isThere: boolean) => {
    const shared = { series: new SeriesIndex(seriesMax), origins: new Origins() };
    const layout = new GroupLayout({ ...shared, families: new Families() }, 0);
    for (const record of records) {
      layout.extend({ ...record, ...numberSlots(record.slots) }, entryOf(record), 0);
    }
    expect(layout.entries(place)).toEqual(isThere ? records.map(entryOf) : undefined);
  };
  const first = step(1, described('old'));
  const more: LayoutRecord = {
    ...{ ...step(2, described('new')), slotCount: 4 },
    slots: [
      { labels: ['__name__', 'x', 'a', '1'], family: 1 },
      { labels: ['__name__', 'y'], family: -1 },
      { labels: ['__name__', 'x', 'a', '2'], family: 0 },
    ],
  };
  check([first, more], 10, true);
  check([first, { ...more, slots: more.slots.slice(1), slotNumbers: [2, 3] }], 10, true); // filtered
  check([first, more], 3, false); // one is over the limit: nothing is known of it
  check([first, { ...more, meta: { ...more.meta, scrapeUrl: 'http://b/' } }], 10, false);
});
