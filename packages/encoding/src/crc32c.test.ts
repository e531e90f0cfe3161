import { expect, it } from 'vitest';
import { crc32c } from './crc32c.js';

it('is CRC-32C', () => {
  const check = (bytes: ArrayLike<number>, crc: number) =>
    expect(crc32c(Uint8Array.from(bytes))).toBe(crc);
  check([], 0);
  check(Buffer.from('123456789'), 0xe3069283);
  // RFC 3720, appendix B.4
  check(new Uint8Array(32), 0x8a9136aa);
  check(new Uint8Array(32).fill(0xff), 0x62a8ab43);
  check(
    Array.from({ length: 32 }, (_, i) => i),
    0x46dd794e,
  );
});

it('takes a part, from any place', () => {
  const bytes = Buffer.from('xx123456789yyy');
  expect(crc32c(bytes, 2, 11)).toBe(0xe3069283);
});
