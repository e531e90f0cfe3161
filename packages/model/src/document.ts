/** Small documents of a store, as JSON: what cannot be read is refused whole, counted, and told with what is lost by it. */
import { FormatError, errorText } from './errors.js';

export interface DocumentKind {
  /** As metrics and log call it: its name in the store, or what such documents' names begin with. */
  readonly name: string;
  /** What it means that it is not there, for people. */
  readonly lost: string;
  log(level: 'error', message: string, fields: Record<string, unknown>): void;
  /** Documents that could not be read, by name. */
  readonly unreadable: Record<string, number>;
}

/**
 * What `read` makes of the JSON in `text`; undefined where there is no document, or one that cannot be read.
 * `read` throws FormatError for JSON of another shape.
 */
export function readDocument<T>(
  text: string | undefined,
  { name, lost, log, unreadable }: DocumentKind,
  read: (json: unknown) => T,
): T | undefined {
  if (text === undefined) return undefined;
  try {
    return read(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof FormatError)) throw error;
    unreadable[name] = (unreadable[name] ?? 0) + 1;
    log('error', 'a stored document cannot be read', {
      document: name,
      lost,
      error: errorText(error),
    });
    return undefined;
  }
}

/** @throws FormatError where it is none */
export function asList(json: unknown): readonly unknown[] {
  if (!Array.isArray(json)) throw new FormatError('not a list');
  return json;
}

/** @throws FormatError where it is none */
export function asRecord(json: unknown): Readonly<Record<string, unknown>> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new FormatError('not an object');
  }
  return json as Readonly<Record<string, unknown>>;
}
