import { FormatError, SampleState } from '@canopy/model';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { type MessageVersion, readWriteMessage } from './message.js';
import { WriteRequest1, WriteRequest2 } from '../testing/write-messages.js';

const bytesOf = (type: protobuf.Type, message: object): Uint8Array =>
  type.encode(type.fromObject(message)).finish();

describe('1.0', () => {
  const read = (message: object) => readWriteMessage(bytesOf(WriteRequest1, message), '1.0');

  it('reads series, samples and descriptions', () => {
    const { series, families } = read({
      timeseries: [
        {
          labels: [
            { name: '__name__', value: 'm_total' },
            { name: 'ü', value: 'ß' },
          ],
          samples: [
            { value: -0.5, timestamp: 1 },
            { value: Number.NaN, timestamp: 4_000_000_000_000 },
          ],
          exemplars: [{ value: 1 }],
          histograms: [{ schema: 1 }],
        },
      ],
      metadata: [{ type: 1, metricFamilyName: 'm_total', help: 'Help.', unit: 's' }],
    });
    expect(series).toEqual([
      {
        pairs: ['__name__', 'm_total', 'ü', 'ß'],
        family: undefined,
        times: [1, 4_000_000_000_000],
        values: [-0.5, Number.NaN],
        states: [SampleState.value, SampleState.value],
        histograms: 1,
        exemplars: 1,
      },
    ]);
    expect(families).toEqual([{ name: 'm_total', type: 'counter', help: 'Help.', unit: 's' }]);
  });

  it('knows the stale mark from other NaNs, by its bits', () => {
    const labels = [{ name: '__name__', value: 'm' }];
    const bytes = bytesOf(WriteRequest1, {
      timeseries: [{ labels, samples: [{ value: 1.5, timestamp: -7 }] }],
    });
    const at = Buffer.from(bytes).indexOf(Buffer.from(new Float64Array([1.5]).buffer));
    Buffer.from(bytes.buffer, bytes.byteOffset).writeBigUInt64LE(0x7ff0000000000002n, at);
    const [{ times, states }] = readWriteMessage(bytes, '1.0').series;
    expect([times, states]).toEqual([[-7], [SampleState.stale]]);
  });
});

describe('2.0', () => {
  const read = (message: object) => readWriteMessage(bytesOf(WriteRequest2, message), '2.0');

  it('reads symbols, metadata and what follows the samples', () => {
    const { series } = read({
      symbols: ['', '__name__', 'm', 'Help.'],
      timeseries: [
        {
          labelsRefs: [1, 2],
          samples: [{ value: 2, timestamp: 5, startTimestamp: 1 }],
          metadata: { type: 2, helpRef: 3, unitRef: 0 },
        },
        { labelsRefs: [1, 9], samples: [{ value: 3, timestamp: 5 }] },
        { labelsRefs: [1], samples: [{ value: 3, timestamp: 5 }] },
      ],
    });
    expect(series[0]).toMatchObject({
      pairs: ['__name__', 'm'],
      family: { type: 'gauge', help: 'Help.', unit: '' },
      times: [5],
      values: [2],
    });
    expect(series.slice(1).map(({ pairs }) => pairs)).toEqual([null, null]);
  });

  it('takes references one by one too, and wants an empty first symbol', () => {
    const refs = Uint8Array.of(0x2a, 4, 0x08, 1, 0x08, 0);
    const symbols = Uint8Array.of(0x22, 0, 0x22, 1, 0x61);
    const { series } = readWriteMessage(Buffer.concat([refs, symbols]), '2.0');
    expect(series[0].pairs).toEqual(['a', '']);
    expect(() => read({ symbols: ['a'] })).toThrow(/first symbol is not empty/);
  });
});

it('gives a message or a FormatError for any bytes', () => {
  const whole = bytesOf(WriteRequest1, {
    timeseries: [
      { labels: [{ name: 'a', value: 'b' }], samples: [{ value: 1, timestamp: 1 }] },
      { labels: [{ name: 'a', value: 'c' }], samples: [{ value: 1, timestamp: 1 }] },
    ],
  });
  for (let at = 0; at < whole.length; at++) {
    for (const version of ['1.0', '2.0'] as MessageVersion[]) {
      for (const bytes of [whole.subarray(0, at), flipped(whole, at)]) {
        try {
          readWriteMessage(bytes, version);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }
    }
  }
});

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] ^= 1 << (at % 8);
  return copy;
}
