/** The payload of a layout entry. See layout.format.md. */
import type { LayoutRecord } from '@canopy/model';

export function encodeLayout(_layout: LayoutRecord): Uint8Array {
  throw new Error('BUG: not there yet');
}

/** @throws FormatError */
export function decodeLayout(_payload: Uint8Array): LayoutRecord {
  throw new Error('BUG: not there yet');
}
