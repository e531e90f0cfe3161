import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CanopyError, asDuration } from '@canopy/model';
import { RecordingJournal, VirtualClock } from '@canopy/model/testing';
import { compressSync } from 'snappy';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RemoteWriteReceiver } from './receiver.js';
import { WriteRequest1, WriteRequest2 } from '../testing/write-messages.js';

const MINUTE = 60_000;
let clock: VirtualClock;
let journal: RecordingJournal;
let receiver: RemoteWriteReceiver;
let server: Server;
let trouble = '';
let dropped = 0;
let rules: () => Map<string, Set<string>> = () => new Map();

beforeEach(async () => {
  clock = new VirtualClock();
  journal = new RecordingJournal();
  trouble = '';
  dropped = 0;
  rules = () => new Map();
  receiver = new RemoteWriteReceiver({
    clock,
    journal,
    trouble: () => trouble,
    framesDropped: () => dropped,
    rules: async () => rules(),
    outOfOrderWindow: () => asDuration(10 * MINUTE),
    seriesMax: 200,
    bodyBytesMax: 10_000,
    messageBytesMax: 20_000,
    concurrentMax: 2,
    syncTimeout: asDuration(1000),
    idle: asDuration(60 * MINUTE),
    log: () => undefined,
  });
  server = createServer((req, res) => void receiver.handle(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => void server.close());

const V2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

async function post(
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    body: body as Uint8Array<ArrayBuffer>,
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy', ...headers },
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

type Sample = readonly [time: number, value: number];

const message = (...series: Array<readonly [Record<string, string>, readonly Sample[]]>): Buffer =>
  compressSync(
    Buffer.from(
      WriteRequest1.encode(
        WriteRequest1.fromObject({
          timeseries: series.map(([labels, samples]) => ({
            labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
            samples: samples.map(([timestamp, value]) => ({ timestamp, value })),
          })),
        }),
      ).finish(),
    ),
  );

const M = { __name__: 'm', job: 'j', instance: 'i' };

it('journals what is sent, series of one target together', async () => {
  const now = clock.now();
  const { status, text } = await post(
    message(
      [
        { job: 'j', __name__: 'm', instance: 'i' },
        [
          [now - 2, 1],
          [now, 2],
        ],
      ],
      [{ __name__: 'n', job: 'j', instance: 'i', empty: '' }, [[now, 3]]],
      [{ __name__: 'm', job: 'k' }, [[now, 4]]],
    ),
  );
  expect([status, text]).toEqual([204, '']);
  expect(journal.groups.map(({ meta }) => meta)).toEqual([
    { kind: 'loose', target: ['instance', 'i', 'job', 'j'], scrapeUrl: '', interval: 0 },
    { kind: 'loose', target: ['job', 'k'], scrapeUrl: '', interval: 0 },
  ]);
  expect(journal.samples).toEqual([
    { series: 'm{instance="i", job="j"}', time: now - 2, value: 1 },
    { series: 'm{instance="i", job="j"}', time: now, value: 2 },
    { series: 'n{instance="i", job="j"}', time: now, value: 3 },
    { series: 'm{job="k"}', time: now, value: 4 },
  ]);
});

it('takes what is late within the window, and what is sent again', async () => {
  const now = clock.now();
  await post(message([M, [[now, 1]]]));
  expect((await post(message([M, [[now, 1]]]))).status).toBe(204);
  expect((await post(message([M, [[now - 5 * MINUTE, 7]]]))).status).toBe(204);
  // In order for its series, however far behind the others.
  expect(
    (
      await post(
        message([
          { ...M, __name__: 'n' },
          [
            [1, 1],
            [2, 2],
          ],
        ]),
      )
    ).status,
  ).toBe(204);
  expect(journal.samples.map(({ time, value }) => [time, value])).toEqual([
    [now, 1],
    [now - 5 * MINUTE, 7],
    [1, 1],
    [2, 2],
  ]);
});

it('refuses single samples and series by name, and journals the rest', async () => {
  const now = clock.now();
  await post(message([M, [[now, 1]]]));
  const cases: ReadonlyArray<readonly [Record<string, string>, Sample, RegExp]> = [
    [M, [now, 2], /duplicate m at/],
    [M, [now - 11 * MINUTE, 2], /too_old m at/],
    [M, [now + 11 * MINUTE, 2], /too_far_ahead m at/],
    [{ ...M, __name__: 'old' }, [-1, 2], /too_old old at -0.001/],
    [{ job: 'j' }, [now, 1], /invalid_labels no metric name/],
    [{ __name__: 'm', '': 'x' }, [now, 1], /invalid_labels a label without a name/],
  ];
  for (const [labels, sample, expected] of cases) {
    const { status, text } = await post(
      message([labels, [sample]], [{ __name__: 'good' }, [[clock.now(), 1]]]),
    );
    expect([status, text]).toEqual([400, expect.stringMatching(expected)]);
    expect(text).toMatch(/^1 refused, 1 samples written/);
    await clock.advance(1);
  }
  const refused = Object.values(receiver.totals.refused);
  expect(refused.reduce((a, b) => a + b)).toBe(cases.length);
  expect(journal.samples.filter(({ series }) => series === 'good')).toHaveLength(cases.length);
});

it('tells senders of 2.0 what was written, and refuses native histograms by name', async () => {
  const request = WriteRequest2.encode(
    WriteRequest2.fromObject({
      symbols: ['', '__name__', 'm_bucket', 'Help.'],
      timeseries: [
        {
          labelsRefs: [1, 2],
          samples: [{ timestamp: clock.now(), value: 1 }],
          metadata: { type: 3, helpRef: 3 },
        },
        { labelsRefs: [1, 2], histograms: [{ schema: 3 }] },
      ],
    }),
  ).finish();
  const { status, text, headers } = await post(compressSync(Buffer.from(request)), {
    'content-type': V2,
  });
  expect([status, text]).toEqual([400, expect.stringMatching(/native_histogram m_bucket/)]);
  const written = (what: string) => headers.get(`x-prometheus-remote-write-${what}-written`);
  expect([written('samples'), written('histograms'), written('exemplars')]).toEqual([
    '1',
    '0',
    '0',
  ]);
  expect(journal.groups[0].families).toEqual([
    { name: 'm', type: 'histogram', help: 'Help.', unit: '' },
  ]);
});

it('describes series whose metadata of 1.0 comes after them', async () => {
  const now = clock.now();
  await post(message([M, [[now, 1]]], [{ ...M, __name__: 'm_count' }, [[now, 1]]]));
  const request = WriteRequest1.encode(
    WriteRequest1.fromObject({ metadata: [{ type: 5, metricFamilyName: 'm', help: 'Help.' }] }),
  ).finish();
  expect((await post(compressSync(Buffer.from(request)))).status).toBe(204);
  const [{ slots, families }] = journal.groups;
  expect(slots.map(({ family }) => families[family]?.help)).toEqual(['Help.', 'Help.']);
});

it('refuses whole what is no request, and says why', async () => {
  const good = message([M, [[clock.now(), 1]]]);
  const bomb = Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), good]);
  const cases: ReadonlyArray<readonly [Uint8Array, Record<string, string>, number, RegExp]> = [
    [good, { 'content-type': 'application/json' }, 415, /snappy/],
    [good, { 'content-type': 'application/x-protobuf;proto=io.other' }, 415, /1.0 or 2.0/],
    [good, { 'content-encoding': 'gzip' }, 415, /snappy/],
    [good.subarray(0, -3), {}, 400, /snappy/],
    [Buffer.alloc(0), {}, 400, /does not begin with a length/],
    [compressSync(Buffer.from('no message')), {}, 400, /protobuf/],
    [bomb, {}, 413, /20000 bytes uncompressed/],
    [Buffer.alloc(10_001, 7), {}, 413, /more than 10000 bytes/],
  ];
  for (const [body, headers, status, text] of cases) {
    expect(await post(body, headers)).toMatchObject({ status, text: expect.stringMatching(text) });
  }
  expect(journal.groups).toEqual([]);
});

it('takes a message whose headers say nothing for snappy and 1.0, as Prometheus does', async () => {
  const headers = { 'content-type': '', 'content-encoding': '' };
  expect(await post(message([M, [[clock.now(), 1]]]), headers)).toMatchObject({ status: 204 });
});

it('answers 503 where the store does not take it, for the sender to come again', async () => {
  trouble = 'the store does not answer';
  const refused = await post(message([M, [[clock.now(), 1]]]));
  expect([refused.status, refused.text]).toEqual([503, 'the store does not answer\n']);
  expect(journal.groups).toEqual([]);
  trouble = '';
  journal.flush = async () => void dropped++;
  expect((await post(message([M, [[clock.now(), 1]]]))).status).toBe(503);
  journal.flush = () => new Promise(() => undefined);
  const waiting = post(message([M, [[clock.now(), 2]]]));
  while (receiver.totals.requests < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await clock.advance(1001);
  expect((await waiting).status).toBe(503);
});

it('takes the labels only that its sender may write', async () => {
  const now = clock.now();
  const one = (labels: Record<string, string>, ...values: number[]) =>
    [{ ...M, ...labels }, values.map((value, i): Sample => [now + i, value])] as const;
  rules = () => new Map([['cluster', new Set(['east', 'middle'])]]);
  const sent = message(
    one({ cluster: 'east' }, 1),
    one({ cluster: 'west' }, 2, 3),
    one({}, 4),
    one({ cluster: 'middle', zone: 'z' }, 5),
  );
  expect(await post(sent)).toMatchObject({
    status: 400,
    text: '2 refused, 3 samples written: forged_label m cluster="west"\n',
  });
  expect(journal.samples.map(({ value }) => value)).toEqual([1, 4, 5]);
  expect(journal.groups.flatMap(({ slots }) => slots)).toHaveLength(3);
  expect(receiver.totals.refused).toEqual({ forged_label: 2 });
  // So does the ledger.
  expect(journal.refused).toEqual({ forged_label: 2 });
  rules = () => {
    throw new CanopyError('forbidden', 'wrong or missing token');
  };
  expect(await post(sent)).toMatchObject({ status: 403, text: 'wrong or missing token\n' });
  expect(journal.samples).toHaveLength(3);
});

it('bounds series, and forgets those that nobody sends any more', async () => {
  const series = (from: number, count: number) =>
    Array.from({ length: count }, (_, i): readonly [Record<string, string>, Sample[]] => [
      { ...M, pod: String(from + i) },
      [[clock.now(), 1]],
    ]);
  expect((await post(message(...series(0, 100)))).status).toBe(204);
  const { status, text } = await post(message(...series(100, 101)));
  expect([status, text]).toEqual([400, expect.stringMatching(/^1 refused, .*series_limit/)]);
  await clock.advance(61 * MINUTE);
  expect((await post(message(...series(0, 50)))).status).toBe(204);
  expect(receiver.seriesCount).toBe(50);
  expect((await post(message(...series(300, 150)))).status).toBe(204);
  expect(journal.groups[0].rebases).toBe(1);
  expect(new Set(journal.groups[0].slots.map(({ labels }) => labels.at(-1))).size).toBe(200);
});
