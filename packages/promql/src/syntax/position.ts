/** Places in a query text and the errors that name them. */
import { CanopyError } from '@canopy/model';

/** `line:col`, both from 1, columns in bytes of UTF-8, as Prometheus prints them. */
export function describePosition(text: string, offset: number): string {
  if (text === '') return 'unknown position';
  const before = text.slice(0, offset);
  let line = 1;
  let lineStart = 0;
  for (let at = before.indexOf('\n'); at >= 0; at = before.indexOf('\n', at + 1)) {
    line++;
    lineStart = at + 1;
  }
  return `${line}:${utf8Length(before.slice(lineStart)) + 1}`;
}

/** @throws CanopyError `bad_data`, always. */
export function parseError(text: string, offset: number, message: string): never {
  throw new CanopyError('bad_data', `${describePosition(text, offset)}: parse error: ${message}`);
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes++;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit <= 0xdbff && i + 1 < text.length) {
      bytes += 4;
      i++;
    } else bytes += 3;
  }
  return bytes;
}
