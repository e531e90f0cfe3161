/**
 * Every error a caller may meet is a CanopyError with a stable code; callers match the code, never
 * the message. The table below is the documentation (errors.test.ts checks that README.md lists the same codes).
 */

/** code → HTTP status of an answer that carries it, and what it means. */
export const ERROR_CODES = {
  // The six of the Prometheus HTTP API, spelt as there.
  bad_data: { httpStatus: 400, meaning: 'a parameter, query or body that cannot be understood' },
  execution: { httpStatus: 422, meaning: 'a query that is well formed but cannot be evaluated' },
  timeout: { httpStatus: 503, meaning: 'a query that took longer than it may' },
  canceled: { httpStatus: 499, meaning: 'the client went away' },
  not_found: { httpStatus: 404, meaning: 'no such thing' },
  not_acceptable: { httpStatus: 406, meaning: 'no common media type' },
  internal: { httpStatus: 500, meaning: 'a fault of the server' },
  unavailable: { httpStatus: 500, meaning: 'the server cannot do this at the moment' },
  // Canopy's own.
  too_many_requests: { httpStatus: 429, meaning: 'a limit on concurrent work is reached' },
  forbidden: { httpStatus: 403, meaning: 'the caller may not do this' },
  conflict: { httpStatus: 409, meaning: 'another one stands in the way' },
  config_invalid: { httpStatus: 400, meaning: 'a configuration file that cannot be used' },
  format: { httpStatus: 400, meaning: 'bytes that are not what their format says' },
  limit: { httpStatus: 413, meaning: 'a limit was exceeded; the input is refused whole' },
  storage_locked: { httpStatus: 500, meaning: 'another process uses the storage path' },
  storage_full: { httpStatus: 500, meaning: 'no room left in the store' },
  storage_unavailable: { httpStatus: 503, meaning: 'the store does not answer; try again' },
  storage_corrupt: { httpStatus: 500, meaning: 'stored bytes do not pass their checks' },
  storage_unsuitable: {
    httpStatus: 500,
    meaning: 'the store is set up in a way Canopy cannot use',
  },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An expected failure, with a message for the person who can mend it. */
export class CanopyError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CanopyError';
    this.code = code;
  }
  get httpStatus(): number {
    return ERROR_CODES[this.code].httpStatus;
  }
}

/** Bytes that do not follow their format; `offset` is where that was noticed. */
export class FormatError extends CanopyError {
  readonly offset: number;
  constructor(message: string, offset = -1) {
    super('format', offset < 0 ? message : `${message} (at byte ${offset})`);
    this.name = 'FormatError';
    this.offset = offset;
  }
}

/**
 * Throws where the program itself is wrong. `message` is a constant text that starts with `BUG:`
 * (a template literal would be built on every call).
 */
export function invariant(ok: boolean, message: string): asserts ok {
  if (!ok) throw new Error(message);
}

/** The text of anything thrown, for messages and logs. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
