import type { Page } from './page-types.js';

/** As it stands in `Accept` and `Content-Type`. */
export const FRAMES_MEDIA_TYPE = 'application/vnd.canopy.frames;version=1';

export interface PageLimits {
  /** A larger page is refused. Bytes. */
  readonly pageBytesMax: number;
  readonly journalsMax: number;
}

/** Returns fresh bytes. */
export function encodePage(_page: Page): Uint8Array {
  throw new Error('BUG: not written yet');
}

/**
 * Reads a page; entries are views into `bytes`. Every checksum is verified.
 * @throws FormatError for anything that is not a whole, undamaged page.
 */
export function decodePage(_bytes: Uint8Array, _limits: PageLimits): Page {
  throw new Error('BUG: not written yet');
}
