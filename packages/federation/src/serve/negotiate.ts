import type { IncomingMessage } from 'node:http';
import { FRAMES_MEDIA_TYPE } from '../page.js';

const [FRAMES_TYPE, FRAMES_VERSION] = FRAMES_MEDIA_TYPE.split(';');

/**
 * `frames` where the request accepts pages of a version we write; `none` where it accepts nothing
 * but pages of other versions (an empty text would look like an empty leaf); else `text`.
 */
export function negotiate(req: Pick<IncomingMessage, 'headers'>): 'frames' | 'text' | 'none' {
  let isOtherVersion = false;
  let isText = false;
  for (const range of (req.headers.accept ?? '').split(',')) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) continue;
    if (type !== FRAMES_TYPE) {
      isText ||= type !== '';
      continue;
    }
    const version = parameters.find((parameter) => parameter.startsWith('version='));
    // Without a version: whatever we write.
    if (version === undefined || version === FRAMES_VERSION) return 'frames';
    isOtherVersion = true;
  }
  return isOtherVersion && !isText ? 'none' : 'text';
}

const OPENMETRICS_VERSIONS: ReadonlySet<string> = new Set(['', '1.0.0', '0.0.1']);

/** Which text a request would rather have; the first of equals, and text 0.0.4 where it says nothing. */
export function textFormat(req: Pick<IncomingMessage, 'headers'>): 'openmetrics' | 'text' {
  let best: 'openmetrics' | 'text' = 'text';
  let bestQuality = 0;
  for (const range of (req.headers.accept ?? '').split(',')) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const parameter = (name: string): string =>
      parameters.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
    const quality = Number(parameter('q') || 1);
    const isOpenMetrics = type === 'application/openmetrics-text';
    if (isOpenMetrics && !OPENMETRICS_VERSIONS.has(parameter('version'))) continue;
    if (!isOpenMetrics && !['text/plain', 'text/*', '*/*'].includes(type)) continue;
    if (quality > bestQuality)
      [best, bestQuality] = [isOpenMetrics ? 'openmetrics' : 'text', quality];
  }
  return best;
}
