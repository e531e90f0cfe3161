import type { IncomingMessage } from 'node:http';
import { FRAMES_MEDIA_TYPE } from '../page.js';

const [FRAMES_TYPE, FRAMES_VERSION] = FRAMES_MEDIA_TYPE.split(';');

/** `frames` where the request accepts pages of a version we write, else `text`. */
export function negotiate(req: Pick<IncomingMessage, 'headers'>): 'frames' | 'text' {
  for (const range of (req.headers.accept ?? '').split(',')) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (type !== FRAMES_TYPE) continue;
    const version = parameters.find((parameter) => parameter.startsWith('version='));
    const refused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    // Without a version: whatever we write.
    if (!refused && (version === undefined || version === FRAMES_VERSION)) return 'frames';
  }
  return 'text';
}
