import { FormatError } from '@canopy/model';
import { expect, it } from 'vitest';
import { ByteReader, ByteWriter } from './varint.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

it('writes and reads varints', () => {
  const check = (value: number, bytes: string) => {
    const writer = new ByteWriter(1);
    writer.varint(value);
    expect(hex(writer.view())).toBe(bytes);
    expect(new ByteReader(writer.copy()).varint()).toBe(value);
  };
  check(0, '00');
  check(127, '7f');
  check(128, '8001');
  check(300, 'ac02');
  check(2 ** 31, '8080808008');
  check(2 ** 53 - 1, 'ffffffffffffff0f');
  const writer = new ByteWriter(8);
  for (const bad of [-1, 0.5, 2 ** 53, NaN]) expect(() => writer.varint(bad)).toThrow(/BUG/);
});

it('writes and reads signed varints', () => {
  const check = (value: number, bytes: string) => {
    const writer = new ByteWriter(1);
    writer.signed(value);
    expect(hex(writer.view())).toBe(bytes);
    expect(new ByteReader(writer.copy()).signed()).toBe(value);
  };
  check(0, '00');
  check(-1, '01');
  check(1, '02');
  check(63, '7e');
  check(-64, '7f');
  check(64, '8001');
  check(-65, '8101');
  check(2 ** 53 - 1, 'feffffffffffff1f');
  check(-(2 ** 53 - 1), 'fdffffffffffff1f');
});

it('writes and reads texts', () => {
  const check = (text: string) => {
    const writer = new ByteWriter(1);
    writer.u8(1);
    writer.text(text);
    const reader = new ByteReader(writer.copy(), 1);
    expect(reader.text()).toBe(text);
    reader.end();
  };
  check('');
  check('abc');
  check('\ufeffé𝒳\u0000');
  check('é'.repeat(40)); // the length takes one byte, could have taken two
  check('é'.repeat(100));
  check('x'.repeat(20_000));
});

it('writes and reads fixed sizes', () => {
  const writer = new ByteWriter(1);
  writer.u32(0xfffffffe);
  writer.f64(-0.5);
  writer.bytes(Uint8Array.of(1, 2));
  const reader = new ByteReader(writer.view());
  expect([reader.u32(), reader.f64(), hex(reader.bytes())]).toEqual([0xfffffffe, -0.5, '0102']);
});

it('gives back the memory of one huge write', () => {
  const writer = new ByteWriter(1);
  writer.raw(new Uint8Array(20_000_000));
  expect(writer.view().buffer.byteLength).toBeGreaterThanOrEqual(20_000_000);
  writer.clear();
  writer.varint(300);
  expect(writer.view().buffer.byteLength).toBeLessThan(5_000_000);
  expect(hex(writer.view())).toBe('ac02');
});

it('never reads beyond its end', () => {
  const check = (bytes: number[], read: (reader: ByteReader) => unknown) => {
    const buffer = Uint8Array.from([...bytes, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    const reader = new ByteReader(buffer, 0, bytes.length);
    expect(() => read(reader)).toThrow(FormatError);
  };
  check([], (reader) => reader.u8());
  check([], (reader) => reader.varint());
  check([1, 2, 3], (reader) => reader.u32());
  check([1, 2, 3, 4, 5, 6, 7], (reader) => reader.f64());
  check([128, 128], (reader) => reader.varint());
  check([128], (reader) => reader.signed());
  check([2, 65], (reader) => reader.text());
  check([1, 0xff], (reader) => reader.text()); // not UTF-8
  check([255, 255, 255, 255, 255, 255, 255, 31], (reader) => reader.varint()); // 2^54 - 1
  check([128, 128, 128, 128, 128, 128, 128, 128, 128, 0], (reader) => reader.varint());
  check([9], (reader) => reader.count(8));
  check([1], (reader) => reader.end());
});
