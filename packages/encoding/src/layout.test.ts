import { readFileSync } from 'node:fs';
import { type LayoutRecord, asDuration, labelsFromObject } from '@canopy/model';
import { expect, it } from 'vitest';
import { decodeLayout, encodeLayout } from './layout.js';
import { exampleBytes } from './testing/index.js';

const TARGET = labelsFromObject({ cluster: 'east', instance: '127.0.0.1:9100', job: 'node' });

function record(part: Partial<LayoutRecord>): LayoutRecord {
  const slots = part.slots ?? [];
  const meta = {
    kind: 'aligned' as const,
    target: TARGET,
    scrapeUrl: 'http://127.0.0.1:9100/metrics',
    interval: asDuration(5000),
    continues: 0,
  };
  const rest = { firstSlot: 0, firstFamily: 0, slotNumbers: null, families: [] };
  return { group: 3, version: 1, meta, ...rest, slotCount: slots.length, ...part, slots };
}

function slot(labels: Record<string, string>, family = -1): LayoutRecord['slots'][number] {
  return { labels: labelsFromObject(labels), family };
}

const FAMILIES = [
  { name: 'node_cpu_seconds_total', type: 'counter', help: 'Seconds.', unit: 'seconds' },
  { name: 'node_load1', type: 'gauge', help: 'é\n"', unit: '' },
] as const;

it('brings every layout back', () => {
  const check = (layout: LayoutRecord) =>
    expect(decodeLayout(encodeLayout(layout))).toEqual(layout);
  check(record({}));
  check(record({ group: 2 ** 32 - 1, version: 2 ** 40, slots: [slot({})] })); // no labels at all
  check(record({ families: FAMILIES }));
  const common = { cluster: 'east', job: 'node' };
  check(
    record({
      families: FAMILIES,
      slots: [
        slot({ ...common, __name__: 'node_cpu_seconds_total', cpu: '0', mode: 'idle' }, 0),
        slot({ ...common, __name__: 'node_cpu_seconds_total', cpu: '1', mode: 'idle' }, 0),
        slot({ ...common, __name__: 'node_load1' }, 1),
        slot({ ...common, __name__: 'up' }, -1),
        slot({ ...common, __name__: 'node_cpu_seconds_total', cpu: '1', mode: 'user' }, 0),
      ],
    }),
  );
  check(record({ slots: [slot({ a: 'x', b: 'y' }), slot({ a: 'x', c: 'y' }), slot({ b: 'y' })] }));
  check(record({ slots: [slot({ a: '1' }, 4)], firstFamily: 5, firstSlot: 7, slotCount: 8 }));
  check(record({ slots: [slot({ a: '𝒳\u0000\ufeffx' }), slot({ 'ä.b': '\ue000' })] })); // any text
  check(
    record({
      slots: [slot({ a: '1' }), slot({ a: '2' })],
      firstSlot: 10,
      slotNumbers: [12, 19],
      slotCount: 30,
    }),
  );
  const long = 'x'.repeat(300);
  check(record({ slots: [slot({ a: `${long}1` }), slot({ a: `${long}2`, b: long })] }));
  const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`l${i}`, 'v']));
  check(record({ slots: [slot(many), slot({ ...many, z: '1' })] })); // more than may be shared
  check(
    record({
      meta: {
        kind: 'loose',
        target: [],
        scrapeUrl: '',
        interval: asDuration(0),
        continues: 4_000_000_000,
      },
    }),
  );
});

it('is small', () => {
  const slots = Array.from({ length: 1000 }, (_, i) =>
    slot({
      cluster: 'east',
      instance: '127.0.0.1:9100',
      job: 'node',
      __name__: `node_netstat_metric_number_${i >> 3}`,
      device: `eth${i & 7}`,
    }),
  );
  // Two of five labels differ: two bytes for them, one for the shape, one for the family.
  expect(encodeLayout(record({ slots })).length / 1000).toBeLessThan(6);
});

it('keeps unpaired surrogates from breaking a table', () => {
  const slots = ['\ud800', '\udc00', '\ufffd', 'x'].map((a) => ({ labels: ['a', a], family: -1 }));
  const back = decodeLayout(encodeLayout(record({ slots })));
  expect(back.slots.map((s) => s.labels[1])).toEqual(['\ufffd', '\ufffd', '\ufffd', 'x']);
});

it('writes the bytes of its format page, and skips sections of later versions', () => {
  const layout = record({
    families: [{ name: 'x', type: 'counter', help: 'h', unit: '' }],
    slots: [
      slot({ __name__: 'up', job: 'n' }),
      slot({ __name__: 'x', cpu: '0', job: 'n' }, 0),
      slot({ __name__: 'x', cpu: '1', job: 'n' }, 0),
    ],
  });
  const target = labelsFromObject({ job: 'n' });
  const small = { ...layout, meta: { ...layout.meta, target, scrapeUrl: 'u' } };
  const bytes = encodeLayout(small);
  const page = readFileSync(new URL('./layout.format.md', import.meta.url), 'utf8');
  expect([bytes]).toEqual(exampleBytes(page));
  expect(decodeLayout(Uint8Array.from([...bytes, 9, 1, 255]))).toEqual(small);
});

it('refuses layouts that cannot be', () => {
  const page = readFileSync(new URL('./layout.format.md', import.meta.url), 'utf8');
  const [bytes] = exampleBytes(page);
  const check = (at: number, byte: number, message: RegExp) => {
    const wrong = bytes.slice();
    wrong[at] = byte;
    expect(() => decodeLayout(wrong)).toThrow(message);
  };
  check(0, 2, /version/);
  check(7, 255, /early/); // the URL's length
  check(9, 200, /out of range/); // more strings than bytes
  check(17, 0x2f, /not sorted/); // "1" becomes "/", which is before "0"
  check(17, 0xff, /UTF-8/);
  const at = Buffer.from(bytes).indexOf('01060700010009', 'hex');
  check(at + 2, 10, /out of range/); // a string that is not in the table
  check(at + 5, 8, /metric type/);
  check(at + 9, 2, /out of range|not described/); // fewer slots than described
  check(at + 9, 4, /not described/);
  check(bytes.length - 2, 0x7e, /out of range/); // beyond the last string
  check(bytes.length - 1, 2, /family/);
  for (let end = 0; end < bytes.length; end++) {
    expect(() => decodeLayout(bytes.subarray(0, end)), `cut at ${end}`).toThrow(/at byte/);
  }
});
