import { type Family, type Labels, formatLabels, labelsOf } from '@canopy/model';
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { FullReader } from './body-reader.js';
import { ProtobufFormat } from './protobuf-format.js';

/** The messages as client_model describes them, for a library that knows nothing of this decoder. */
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message LabelPair { string name = 1; string value = 2; }
  message Gauge { double value = 1; }
  message Exemplar { repeated LabelPair label = 1; double value = 2; }
  message Counter { double value = 1; Exemplar exemplar = 2; }
  message Quantile { double quantile = 1; double value = 2; }
  message Summary { uint64 sample_count = 1; double sample_sum = 2; repeated Quantile quantile = 3; }
  message Untyped { double value = 1; }
  message Bucket { uint64 cumulative_count = 1; double cumulative_count_float = 4; double upper_bound = 2; Exemplar exemplar = 3; }
  message BucketSpan { sint32 offset = 1; uint32 length = 2; }
  message Histogram {
    uint64 sample_count = 1; double sample_count_float = 4; double sample_sum = 2; repeated Bucket bucket = 3;
    sint32 schema = 5; double zero_threshold = 6; uint64 zero_count = 7; repeated BucketSpan positive_span = 12;
    repeated sint64 positive_delta = 13; repeated Exemplar exemplars = 16;
  }
  message Metric {
    repeated LabelPair label = 1; Gauge gauge = 2; Counter counter = 3; Summary summary = 4; Untyped untyped = 5;
    Histogram histogram = 7; int64 timestamp_ms = 6;
  }
  message MetricFamily { string name = 1; string help = 2; int32 type = 3; repeated Metric metric = 4; string unit = 5; }
`,
  { keepCase: true },
);
const MetricFamily = root.lookupType('MetricFamily');

const encode = (...families: object[]): Buffer =>
  Buffer.concat(families.map((family) => MetricFamily.encodeDelimited(family).finish()));

const pairsOf = (labels: Labels): Array<[string, string]> =>
  Array.from({ length: labels.length / 2 }, (_, i) => [labels[2 * i], labels[2 * i + 1]]);

function read(...bodies: Buffer[]): { samples: string[]; families: Family[]; exemplars: number } {
  const series: string[] = [];
  const families = new Map<string, Family>();
  const resolve = (labels: Labels, family: Family | undefined): number => {
    if (family !== undefined) families.set(family.name, family);
    return series.push(formatLabels(labelsOf(pairsOf(labels)))) - 1;
  };
  const options = { resolver: { resolve }, honorTimestamps: true, maxSeries: 1000 };
  const reader = new FullReader(options, new ProtobufFormat());
  let columns = reader.parse(bodies[0]);
  for (const body of bodies.slice(1)) columns = reader.parse(body);
  const samples: string[] = [];
  for (let i = 0; i < columns.slotCount; i++) {
    if (columns.states[i] !== 0) samples.push(`${series[i]} ${columns.values[i]}`);
  }
  for (let i = 0; i < columns.looseCount; i++) {
    const slot = columns.looseSlots[i];
    samples.push(`${series[slot]} ${columns.looseValues[i]}@${columns.looseTimes[i]}`);
  }
  return { samples, families: [...families.values()], exemplars: reader.exemplars };
}

const check = (family: object, ...expected: string[]): void =>
  expect(read(encode(family)).samples, JSON.stringify(family)).toEqual(expected);
const refuses = (body: Buffer | object, message: string): void =>
  expect(() => read(Buffer.isBuffer(body) ? body : encode(body))).toThrow(message);

const label = [{ name: 'b', value: 'c' }];

test('the example of the format page', () => {
  const bytes = Buffer.from(
    '1c0a01611800221' + '50a060a01621201631a09090000000000' + '00f83f3007',
    'hex',
  );
  expect(read(bytes).samples).toEqual(['a{b="c"} 1.5@7']);
  const metric = [{ label, counter: { value: 1.5 }, timestamp_ms: 7 }];
  // The library leaves a type 0 out.
  expect(read(encode({ name: 'a', metric })).samples).toEqual(['a{b="c"} 1.5@7']);
});

test('single values', () => {
  check({ name: 'a_total', metric: [{ counter: { value: 2 } }] }, 'a_total 2');
  check({ name: 'a', type: 1, metric: [{ label, gauge: { value: -0.5 } }] }, 'a{b="c"} -0.5');
  check({ name: 'a', type: 3, metric: [{ untyped: { value: NaN } }] }, 'a NaN');
  check({ name: 'a', type: 1, metric: [{ counter: { value: 2 } }] }, 'a 0'); // not its type's message
  check(
    { name: 'a.b', type: 1, metric: [{ label: [{ name: 'é', value: '' }], gauge: { value: 1 } }] },
    '{"a.b"} 1',
  );
  check({ name: 'a', type: 1, metric: [{ gauge: { value: 1 }, timestamp_ms: -5 }] }, 'a 1@-5');
  check(
    { name: 'a', type: 1, metric: [{ gauge: { value: 1 } }, { label, gauge: { value: 2 } }] },
    'a 1',
    'a{b="c"} 2',
  );
  check({ name: '', help: 'no metrics, nothing said' });
  const infinite = { name: 'a', type: 1, metric: [{ gauge: { value: -Infinity } }] };
  check(infinite, 'a -Infinity');
});

test('summaries', () => {
  const quantile = [
    { quantile: 0, value: 1 },
    { quantile: 0.5, value: 2 },
    { quantile: 1, value: 3 },
  ];
  check(
    {
      name: 's',
      type: 2,
      metric: [{ label, summary: { sample_count: 4, sample_sum: 5, quantile } }],
    },
    's_count{b="c"} 4',
    's_sum{b="c"} 5',
    's{b="c", quantile="0.0"} 1',
    's{b="c", quantile="0.5"} 2',
    's{b="c", quantile="1.0"} 3',
  );
  check({ name: 's', type: 2, metric: [{ summary: {} }] }, 's_count 0', 's_sum 0');
});

test('histograms are their classic buckets', () => {
  const bucket = [
    { cumulative_count: 1, upper_bound: 0.1 },
    { cumulative_count: 2, upper_bound: 10 },
  ];
  const histogram = { sample_count: 3, sample_sum: 7, bucket };
  const expected = [
    'h_count 3',
    'h_sum 7',
    'h_bucket{le="0.1"} 1',
    'h_bucket{le="10.0"} 2',
    'h_bucket{le="+Inf"} 3',
  ];
  const familyOf = (h: object, type = 4): object => ({
    name: 'h',
    type,
    metric: [{ histogram: h }],
  });
  check(familyOf(histogram), ...expected);
  check(familyOf(histogram, 5), ...expected);
  const last = { cumulative_count: 3, upper_bound: Infinity };
  const after = { cumulative_count: 9, upper_bound: 1 };
  check(familyOf({ ...histogram, bucket: [...bucket, last, after] }), ...expected);
  const native = {
    schema: 3,
    zero_threshold: 0.1,
    zero_count: 2,
    positive_span: [{ offset: -1, length: 2 }],
    positive_delta: [1, 1],
  };
  check(familyOf({ ...histogram, ...native }), ...expected);
  check(
    familyOf({ ...native, sample_count: 4, sample_sum: 1 }),
    'h_count 4',
    'h_sum 1',
    'h_bucket{le="+Inf"} 4',
  );
  const floats = {
    sample_count_float: 1.5,
    bucket: [{ cumulative_count_float: 0.5, upper_bound: 1e6 }],
  };
  check(
    familyOf(floats),
    'h_count 1.5',
    'h_sum 0',
    'h_bucket{le="1e+06"} 0.5',
    'h_bucket{le="+Inf"} 1.5',
  );
});

test('large counts are the nearest double', () => {
  const body = (count: bigint): Buffer => {
    const varint: number[] = [];
    for (let rest = count; ; rest >>= 7n) {
      varint.push(Number(rest & 0x7fn) | (rest >= 128n ? 0x80 : 0));
      if (rest < 128n) break;
    }
    const summary = Buffer.from([0x08, ...varint]);
    const metric = Buffer.concat([Buffer.from([0x22, summary.length]), summary]);
    const family = Buffer.concat([
      Buffer.from([0x0a, 1, 97, 0x18, 2, 0x22, metric.length]),
      metric,
    ]);
    return Buffer.concat([Buffer.from([family.length]), family]);
  };
  for (const count of [
    0n,
    127n,
    128n,
    2n ** 32n - 1n,
    2n ** 53n + 1n,
    2n ** 53n + 3n,
    2n ** 63n,
    2n ** 64n - 1n,
  ]) {
    expect(read(body(count)).samples[0]).toBe(`a_count ${Number(count)}`);
  }
});

test('TYPE, HELP and UNIT', () => {
  const metric = [{ counter: { value: 1 } }];
  const { families } = read(
    encode(
      { name: 'a_seconds_total', help: 'x', unit: 'seconds', metric },
      { name: 'h', type: 4, metric: [{ histogram: {} }] },
      { name: 'g', type: 5, metric: [{ histogram: {} }] },
    ),
  );
  expect(families).toEqual([
    { name: 'a_seconds_total', type: 'counter', help: 'x', unit: 'seconds' },
    { name: 'h', type: 'histogram', help: '', unit: '' },
    { name: 'g', type: 'gaugehistogram', help: '', unit: '' },
  ]);
  refuses({ name: 'a', unit: 'seconds', metric }, 'unit "seconds" not a suffix of "a"');
  refuses({ name: 'a', type: 9, metric }, 'unknown metric type for metric "a": 9');
  refuses({ name: '', metric }, 'invalid metric name');
});

test('exemplars are counted', () => {
  const exemplar = { label, value: 1 };
  const body = encode(
    { name: 'a', metric: [{ counter: { value: 1, exemplar } }] },
    {
      name: 'h',
      type: 4,
      metric: [{ histogram: { bucket: [{ upper_bound: 1, exemplar }], exemplars: [exemplar] } }],
    },
  );
  expect(read(body).exemplars).toBe(3);
});

test('series are known again, whatever stands around them', () => {
  const one = (value: number): object => ({
    name: 'a',
    type: 1,
    metric: [{ label, gauge: { value } }],
  });
  const other = {
    name: 'a',
    type: 1,
    metric: [{ label: [{ name: 'b', value: 'd' }], gauge: { value: 9 } }],
  };
  expect(read(encode(one(1)), encode(other, one(2))).samples).toEqual(['a{b="c"} 2', 'a{b="d"} 9']);
});

test('what is no family', () => {
  const good = encode({ name: 'a', type: 1, metric: [{ label, gauge: { value: 1 } }] });
  for (let cut = 1; cut < good.length; cut++) refuses(good.subarray(0, cut), 'unexpected EOF');
  refuses(Buffer.from('a 1\n'), 'protobuf: ');
  refuses(Buffer.from([2, 0x00, 0x00]), 'illegal tag');
  refuses(Buffer.from([2, 0x08, 0x00]), 'wrong wire type 0 for field 1');
  refuses(Buffer.from([1, 0x7c]), 'misplaced group');
  refuses(Buffer.from([2, 0x7e, 0x00]), 'illegal wire type');
  refuses(Buffer.alloc(12, 0xff), 'varint is too long');
  refuses(
    { name: 'a', type: 1, metric: [{ label: [{ name: '', value: 'x' }] }] },
    'invalid label name',
  );
  refuses(
    { name: 'a', type: 1, metric: [{ label: [...label, ...label] }] },
    'label "b" is given twice',
  );
  refuses(
    { name: 'h', type: 4, metric: [{ label: [{ name: 'le', value: '1' }] }] },
    'label "le" is given twice',
  );
  const many = Array.from({ length: 1001 }, (_, i) => ({ name: `l${i}`, value: '1' }));
  refuses({ name: 'a', type: 1, metric: [{ label: many }] }, 'more than 1000 labels');
});

test('long labels of many buckets do not grow without bound', () => {
  const long = [{ name: 'b', value: 'x'.repeat(1 << 20) }];
  const bucket = Array.from({ length: 500 }, (_, i) => ({ upper_bound: i }));
  refuses(
    { name: 'h', type: 4, metric: [{ label: long, histogram: { bucket } }] },
    'too long for so many buckets',
  );
});
