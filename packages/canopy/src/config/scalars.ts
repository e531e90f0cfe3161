/**
 * Texts of a configuration turned into values. YAML is read with every scalar still text (as Go's decoder
 * does, which decodes into the type of the field), so `regex: 80` is the text `80` and `yes` is true. A key with
 * nothing after it is null and means the zero of its type, not its default: `honor_timestamps:` is false.
 */
import { CanopyError, compileRegexp, parseBytes, parseDuration } from '@canopy/model';
import { z } from 'zod';

/** Text as it stands. */
export const text = () => z.preprocess((value) => (value === null ? '' : value), z.string());

/** The same, or nothing. */
export const optionalText = () => text().optional();

/** A text checked and turned into something by `read`, whose complaint becomes the issue; `zero` is read for null. */
export function scalar<T>(read: (text: string) => T, zero = '') {
  const given = z.preprocess((value) => (value === null ? zero : value), z.string());
  return given.transform((text, context): T => {
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

/** Whole numbers as YAML 1.1 has them: `1_000`, `0x3e8`, `01750`, `1e3`. */
function readCount(text: string): number {
  const digits = text.replaceAll('_', '').replace(/^\+/, '').toLowerCase();
  let value = Number.NaN;
  if (/^0[0-7]+$/.test(digits)) value = Number.parseInt(digits, 8);
  else if (/^(\d+|0x[\da-f]+|0o[0-7]+|0b[01]+|\d+\.\d*|\d+(\.\d*)?e\+?\d+)$/.test(digits)) {
    value = Number(digits);
  }
  if (!Number.isInteger(value)) return fail(`"${text}" is not a whole number`);
  return value < 2 ** 63 ? value : fail(`"${text}" is too large`);
}

/** `10MB`, `1.5GB`, `1GB512MB`; without a unit only 0. Complaints in the words of Prometheus's library. */
function readBytes(text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d*)?|\.\d+)([^\d.]*)/gy)];
  const length = parts.reduce((sum, [part]) => sum + part.length, 0);
  if (parts.length === 0 || length < text.length) return fail(`units: invalid ${text}`);
  return parts.reduce((sum, [, count, unit]) => {
    if (!/^([KMGTPE]i?)?B$/.test(unit)) return fail(`units: unknown unit ${unit} in ${text}`);
    return sum + Math.floor(Number(count) * parseBytes(`1${unit}`));
  }, 0);
}

export const duration = () => scalar(parseDuration, '0');
export const boolean = () => scalar(readBoolean, 'false');
export const count = () => scalar(readCount, '0');
export const bytes = () => scalar(readBytes, '0');
export const regexp = () =>
  scalar((text) => {
    compileRegexp(text);
    return text;
  });
/** Of a list or mapping nothing is the same as leaving the key out. */
export const optional = <T extends z.ZodType>(type: T) =>
  z.preprocess((value) => (value === null ? undefined : value), type);

/** Of a text that is blank the same. */
export const blankable = <T extends z.ZodType>(type: T) =>
  z.preprocess((value) => (value === '' || value === null ? undefined : value), type);

/** What stands there if it is not null, else the complaint `whenNull`. */
export const notNull = (whenNull: string) =>
  z.any().refine((value) => value !== null, { error: whenNull, abort: true });

/** A list of mappings: none of them may be nothing. */
export const listOf = <T extends z.ZodType>(type: T, whenNull: string) =>
  optional(z.array(notNull(whenNull).pipe(type)).default([]));

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
