import type { IncomingMessage } from 'node:http';
import { ESCAPING_SCHEMES, type EscapingScheme } from '@canopy/exposition';
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
const TEXT_TYPES: ReadonlySet<string> = new Set(['text/plain', 'text/*', '*/*']);

export interface TextChoice {
  readonly format: 'openmetrics' | 'text';
  /** How names outside the old alphabet are to be written. */
  readonly escaping: EscapingScheme;
}

/**
 * Which text a request would rather have: the first of equals, and text 0.0.4 where it says nothing. As in
 * prometheus/common (expfmt/encode.go) a scheme counts for all that is wanted less, and where none is named, names are
 * written with underscores: who does not ask for UTF-8 may not read it.
 */
export function textChoice(req: Pick<IncomingMessage, 'headers'>): TextChoice {
  const ranges = (req.headers.accept ?? '').split(',').map((range) => {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const parameter = (name: string): string =>
      parameters.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
    return { type, parameter, quality: Number(parameter('q') || 1) };
  });
  let escaping: EscapingScheme = 'underscores';
  for (const { type, parameter } of ranges
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality)) {
    escaping = ESCAPING_SCHEMES.find((scheme) => scheme === parameter('escaping')) ?? escaping;
    if (type === 'application/openmetrics-text') {
      if (OPENMETRICS_VERSIONS.has(parameter('version')))
        return { format: 'openmetrics', escaping };
    } else if (TEXT_TYPES.has(type)) break;
  }
  return { format: 'text', escaping };
}
