/** Remote write 1.0 for much data: labels are encoded once a series. */
import type { Labels } from '@canopy/model';
import { compress } from 'snappy';

/** Tag and length, float64 value, time: a varint of 6 bytes for any time from 2004 to 2109. */
const SAMPLE_BYTES = 18;

function varint(out: number[], value: number): void {
  while (value > 127) {
    out.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  out.push(value);
}

/** Labels as the beginning of a `TimeSeries` message. */
export function encodeLabels(labels: Labels): Buffer {
  const out: Buffer[] = [];
  for (let i = 0; i < labels.length; i += 2) {
    const pair: number[] = [];
    for (const [tag, text] of [
      [0x0a, labels[i]],
      [0x12, labels[i + 1]],
    ] as const) {
      const bytes = Buffer.from(text);
      pair.push(tag);
      varint(pair, bytes.length);
      pair.push(...bytes);
    }
    const head = [0x0a];
    varint(head, pair.length);
    out.push(Buffer.from([...head, ...pair]));
  }
  return Buffer.concat(out);
}

/** A `WriteRequest`: `times` are those of all series, `values` column by column, `perSeries` apart. */
export function encodeWrite(
  labels: readonly Buffer[],
  times: readonly number[],
  values: Float64Array,
  perSeries: number,
): Buffer {
  const samples = times.length * SAMPLE_BYTES;
  const out = Buffer.alloc(labels.reduce((sum, { length }) => sum + length + samples + 11, 0));
  const stamps = times.map((time) => {
    const bytes = [0x10];
    varint(bytes, time);
    return Buffer.from(bytes);
  });
  let at = 0;
  for (let series = 0; series < labels.length; series++) {
    const head = [0x0a];
    varint(head, labels[series].length + samples);
    for (const byte of head) out[at++] = byte;
    at += labels[series].copy(out, at);
    for (let i = 0; i < times.length; i++) {
      out[at] = 0x12;
      out[at + 1] = SAMPLE_BYTES - 2;
      out[at + 2] = 0x09;
      out.writeDoubleLE(values[series * perSeries + i], at + 3);
      stamps[i].copy(out, at + 11);
      at += SAMPLE_BYTES;
    }
  }
  return out.subarray(0, at);
}

/** Sends the same request to all of `bases`. */
export async function remoteWrite(bases: readonly string[], message: Buffer): Promise<void> {
  const body = (await compress(message)) as Buffer<ArrayBuffer>;
  await Promise.all(
    bases.map(async (base) => {
      const response = await fetch(`${base}/api/v1/write`, {
        ...{ method: 'POST', body },
        headers: {
          'content-type': 'application/x-protobuf',
          'content-encoding': 'snappy',
          'x-prometheus-remote-write-version': '0.1.0',
        },
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${base} answered ${response.status}: ${text}`);
    }),
  );
}
