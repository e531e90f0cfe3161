/**
 * Checksums of what is stored: CRC-32C of a record's key and itself, so that neither a damaged record nor one
 * under a key that is not its own is ever handed out.
 */
import { crc32c } from '@canopy/encoding';

/** CRC-32C, little-endian. */
const CHECK_SIZE = 4;
/** A space and eight digits. */
const TEXT_CHECK = /^ [0-9a-f]{8}$/;
const TEXT_CHECK_SIZE = 9;

/** The value and its checksum, as bytes; `seed`: checksum of the table's name. */
export function seal(seed: number, key: Uint8Array, value: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(value.length + CHECK_SIZE);
  sealed.set(value);
  sealed.writeUInt32LE(crc32c(value, 0, value.length, keyCheck(seed, key)), value.length);
  return sealed;
}

/** A view of the value, or null. */
export function unseal(seed: number, key: Uint8Array, sealed: Buffer): Buffer | null {
  const size = sealed.length - CHECK_SIZE;
  if (size < 0) return null;
  const check = crc32c(sealed, 0, size, keyCheck(seed, key));
  return sealed.readUInt32LE(size) === check ? sealed.subarray(0, size) : null;
}

const keyCheck = (seed: number, key: Uint8Array): number => crc32c(key, 0, key.length, seed);

/** CRC-32C of key and text, UTF-8, as eight hexadecimal digits. */
export function textCheck(key: string, text: string): string {
  const [name, value] = [Buffer.from(key), Buffer.from(text)];
  const check = crc32c(value, 0, value.length, keyCheck(0, name));
  return (check >>> 0).toString(16).padStart(8, '0');
}

/** The text, a space, its check. */
export const sealText = (key: string, text: string): string => `${text} ${textCheck(key, text)}`;

/** The text; undefined where it fails its check. */
export function unsealText(key: string, sealed: string): string | undefined {
  const size = sealed.length - TEXT_CHECK_SIZE;
  if (size < 0 || !TEXT_CHECK.test(sealed.slice(size))) return undefined;
  const text = sealed.slice(0, size);
  return sealed.slice(size + 1) === textCheck(key, text) ? text : undefined;
}
