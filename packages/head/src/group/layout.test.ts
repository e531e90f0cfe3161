import { type Family, type LayoutRecord, asDuration, asTime } from '@canopy/model';
import { expect, it } from 'vitest';
import { Families } from '../series/families.js';
import { Origins } from '../series/origins.js';
import { numberSlots } from '../series/numbered-texts.js';
import { SeriesIndex } from '../series/series-index.js';
import { GroupLayout } from './layout.js';

const described = (help: string): Family => ({ name: 'x', type: 'gauge', help, unit: '' });
const META = { kind: 'aligned', target: [], scrapeUrl: '', continues: 0 } as const;

/** The step of a layout that says once more what `x` is, and adds no slot. */
const step = (version: number, ...families: Family[]): LayoutRecord => ({
  ...{ group: 1, version, meta: { ...META, interval: asDuration(1000) } },
  ...{ firstSlot: version === 1 ? 0 : 1, firstFamily: version - 1, slotCount: 1 },
  slots: version === 1 ? [{ labels: ['__name__', 'x'], family: 0 }] : [],
  ...{ slotNumbers: null, families },
});

it('a family that is described anew is not told of as it was before', () => {
  const families = new Families();
  const shared = { series: new SeriesIndex(10), origins: new Origins(), families };
  const layouts = [new GroupLayout(shared, 0), new GroupLayout(shared, 1)];
  const told = () => (families.all().get('x') ?? []).map(({ help }) => help).sort();
  const extend = (layout: GroupLayout, record: LayoutRecord, row: number) =>
    layout.extend({ ...record, ...numberSlots(record.slots) }, 0, row);
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
