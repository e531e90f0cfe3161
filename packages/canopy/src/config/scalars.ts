/**
 * Texts of a configuration turned into values. YAML is read with every scalar still text (as Go's decoder
 * does, which decodes into the type of the field), so `regex: 80` is the text `80` and `yes` is true.
 */
import { CanopyError, compileRegexp, parseBytes, parseDuration } from '@canopy/model';
import { z } from 'zod';

/** A text checked and turned into something by `read`, whose complaint becomes the issue. */
export function scalar<T>(read: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof CanopyError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}

export const fail = (message: string): never => {
  throw new CanopyError('bad_data', message);
};

const TRUE: ReadonlySet<string> = new Set(['true', 'yes', 'on', 'y']);
const FALSE: ReadonlySet<string> = new Set(['false', 'no', 'off', 'n']);

/** As YAML 1.1 has them: `yes`, `Yes`, `YES`, not `yEs`. */
function readBoolean(text: string): boolean {
  const lower = text.toLowerCase();
  const spelt = text === lower || text === text.toUpperCase() || /^[A-Z][a-z]+$/.test(text);
  if (spelt && TRUE.has(lower)) return true;
  if (spelt && FALSE.has(lower)) return false;
  return fail(`"${text}" is neither true nor false`);
}

export const duration = () => scalar(parseDuration);
export const boolean = () => scalar(readBoolean);
export const count = () =>
  scalar((text) => (/^\d+$/.test(text) ? Number(text) : fail(`"${text}" is not a whole number`)));
export const bytes = () => scalar(parseBytes);
export const regexp = () =>
  scalar((text) => {
    compileRegexp(text);
    return text;
  });
/** An empty value in YAML is the same as leaving the key out. */
export const optional = <T extends z.ZodType>(type: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), type);

/** A switch that may be there and off. */
export const onlyFalse = (reason: string) =>
  scalar((text) => readBoolean(text) && fail(`is not supported: ${reason}`))
    .prefault('false')
    .describe(`Only \`false\`: ${reason}`);

/** A key that is known and refused. */
export const refused = (reason: string) =>
  z
    .unknown()
    .superRefine((value, context) => {
      if (value === undefined) return;
      context.addIssue({ code: 'custom', message: `is not supported: ${reason}` });
    })
    .optional()
    .describe(`Refused: ${reason}`);
