/**
 * Parameters of a request, read as Prometheus reads them: form values first, then those of the
 * URL; an empty value is the same as an absent one.
 */
import type { IncomingMessage } from 'node:http';
import {
  CanopyError,
  type DurationMs,
  type Milliseconds,
  asDuration,
  asTime,
  parseDuration,
} from '@canopy/model';

/** Bounds for "all time"; exact integers, beyond any date. */
export const MIN_TIME = asTime(-Number.MAX_SAFE_INTEGER);
export const MAX_TIME = asTime(Number.MAX_SAFE_INTEGER);

/** What Go's clients print for the ends of time. */
const SPECIAL_TIMES: Readonly<Record<string, Milliseconds>> = {
  '-292273086-05-16T16:47:06Z': MIN_TIME,
  '292277025-08-18T07:12:54.999999999Z': MAX_TIME,
};

const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const RFC3339 =
  /^(\d{4}-(\d\d)-(\d\d))T(\d\d:[0-5]\d:[0-5]\d)(?:[.,](\d+))?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const MAX_SECONDS = Number.MAX_SAFE_INTEGER / 1000;
const NANOSECONDS_MAX = 2 ** 63;

/** `invalid parameter "step": …`, code `bad_data`. */
export function invalidParameter(name: string, reason: string): CanopyError {
  return new CanopyError('bad_data', `invalid parameter "${name}": ${reason}`);
}

/** Unix seconds (rounded to milliseconds) or RFC 3339. Undefined where the text is neither. */
export function parseTime(text: string): Milliseconds | undefined {
  if (FLOAT.test(text)) {
    const seconds = Number(text);
    if (!(Math.abs(seconds) < MAX_SECONDS)) return undefined;
    // Rounding the fraction alone keeps .0005 steps exact where seconds × 1000 would not be.
    const whole = Math.trunc(seconds);
    return asTime(whole * 1000 + roundHalfAway((seconds - whole) * 1000));
  }
  if (Object.hasOwn(SPECIAL_TIMES, text)) return SPECIAL_TIMES[text];
  const parts = RFC3339.exec(text);
  if (parts === null) return undefined;
  const [, date, month, day, time, fraction = '', zone] = parts;
  const at = Date.parse(`${date}T${time}.${fraction.padEnd(3, '0').slice(0, 3)}${zone}`);
  if (Number.isNaN(at)) return undefined;
  // Date.parse lets 31 February through as 3 March.
  const daysInMonth = new Date(Date.UTC(Number(date.slice(0, 4)), Number(month), 0)).getUTCDate();
  return Number(day) <= daysInMonth ? asTime(at) : undefined;
}

/** As Go rounds; never -0. */
function roundHalfAway(value: number): number {
  return value < 0 ? -Math.round(-value) + 0 : Math.round(value);
}

/**
 * Float seconds, cut to nanoseconds and then to milliseconds as Go does it, or Prometheus's
 * notation, which has no sign. Undefined where it is neither, or more than Go's 292 years.
 */
export function parseDurationText(text: string): DurationMs | undefined {
  if (FLOAT.test(text)) {
    const nanoseconds = Math.trunc(Number(text) * 1e9);
    if (!(Math.abs(nanoseconds) <= NANOSECONDS_MAX)) return undefined;
    return asDuration(Math.trunc(nanoseconds / 1e6) + 0);
  }
  try {
    return parseDuration(text);
  } catch {
    return undefined;
  }
}

/** The parameters of one request. */
export class Params {
  readonly #form: URLSearchParams;
  readonly #url: URLSearchParams;

  constructor(url: URLSearchParams, form: URLSearchParams) {
    this.#url = url;
    this.#form = form;
  }

  /** The first value, '' where there is none. */
  text(name: string): string {
    return this.#form.get(name) ?? this.#url.get(name) ?? '';
  }

  /** All values of a repeatable parameter. */
  all(name: string): string[] {
    return [...this.#form.getAll(name), ...this.#url.getAll(name)];
  }

  /** @throws CanopyError `bad_data`; so do all the readers below. */
  time(name: string, otherwise: Milliseconds): Milliseconds {
    const text = this.text(name);
    if (text === '') return otherwise;
    const time = parseTime(text);
    if (time !== undefined) return time;
    const reason = `cannot parse ${JSON.stringify(text)} to a valid timestamp`;
    throw invalidParameter(name, `invalid time value for '${name}': ${reason}`);
  }

  /** A time that must be there. */
  requiredTime(name: string): Milliseconds {
    const text = this.text(name);
    const time = parseTime(text);
    if (time !== undefined) return time;
    throw invalidParameter(name, `cannot parse ${JSON.stringify(text)} to a valid timestamp`);
  }

  /** A duration; undefined where it is absent. */
  duration(name: string): DurationMs | undefined {
    const text = this.text(name);
    return text === '' ? undefined : this.requiredDuration(name);
  }

  requiredDuration(name: string): DurationMs {
    const text = this.text(name);
    const duration = parseDurationText(text);
    if (duration !== undefined) return duration;
    const reason = `cannot parse ${JSON.stringify(text)} to a valid duration`;
    throw invalidParameter(name, FLOAT.test(text) ? `${reason}. It overflows int64` : reason);
  }

  /** `true`, `false` and what else Go's `strconv.ParseBool` knows. */
  flag(name: string, otherwise: boolean): boolean {
    const text = this.text(name);
    if (text === '') return otherwise;
    if (/^(?:1|t|T|true|True|TRUE)$/.test(text)) return true;
    if (/^(?:0|f|F|false|False|FALSE)$/.test(text)) return false;
    throw invalidParameter(name, `must be true or false, not ${JSON.stringify(text)}`);
  }

  /** A non-negative count; 0 where it is absent, which means no limit. */
  limit(name: string): number {
    const text = this.text(name);
    if (text === '') return 0;
    if (!/^[+-]?\d{1,15}$/.test(text)) {
      throw invalidParameter(name, `cannot parse ${JSON.stringify(text)} to an integer`);
    }
    if (Number(text) < 0) throw invalidParameter(name, 'limit must be non-negative');
    return Number(text);
  }
}

const FORM = 'application/x-www-form-urlencoded';

/**
 * Reads the form of a POST or PUT; other bodies are left alone, as Prometheus does.
 * @throws CanopyError `limit` over `bytesMax`.
 */
export async function readForm(req: IncomingMessage, bytesMax: number): Promise<URLSearchParams> {
  const mediaType = (req.headers['content-type'] ?? '').split(';', 1)[0].trim().toLowerCase();
  const hasForm = (req.method === 'POST' || req.method === 'PUT') && mediaType === FORM;
  if (!hasForm) return new URLSearchParams();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw new CanopyError('limit', `error parsing form values: more than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}
