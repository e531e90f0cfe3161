/**
 * The envelope of `/api/v1`: success with data, warnings and infos; or an error with its type.
 */
import type { ServerResponse } from 'node:http';
import { CanopyError, type ErrorCode } from '@canopy/model';
import type { JsonOutput } from './json-output.js';

/** What a handler gives back. Written after it returned, so a late failure cannot spoil `status`. */
export interface Answer {
  /** Writes `data`: ready text, or a writer for what may be large. */
  readonly data: string | ((out: JsonOutput) => Promise<void>);
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

/** 204, without a body. */
export const NO_CONTENT: Answer = { data: '' };

export const TRUNCATED = 'results truncated due to limit';

/** An answer whose data is small enough for one text. */
export function plain(value: unknown): Answer {
  return { data: JSON.stringify(value) };
}

/** Annotations listed in an answer, as in Prometheus; the rest is counted in one more entry. */
const ANNOTATIONS_MAX = 10;

function annotations(kind: 'warning' | 'info', texts: readonly string[] | undefined): string {
  if (texts === undefined || texts.length === 0) return '';
  const listed = texts.slice(0, ANNOTATIONS_MAX);
  const left = texts.length - listed.length;
  if (left > 0) listed.push(`${left} more ${kind} annotations omitted`);
  return `,"${kind}s":${JSON.stringify(listed)}`;
}

export async function writeSuccess(out: JsonOutput, answer: Answer): Promise<void> {
  out.write('{"status":"success","data":');
  if (typeof answer.data === 'string') out.write(answer.data);
  else await answer.data(out);
  out.write(annotations('warning', answer.warnings));
  out.write(annotations('info', answer.infos));
  out.write('}');
  out.end();
}

/** Canopy's codes in the words that clients of the Prometheus API know. */
const ERROR_TYPES: Partial<Record<ErrorCode, ErrorCode>> = {
  too_many_requests: 'unavailable',
  forbidden: 'bad_data',
  conflict: 'bad_data',
  config_invalid: 'bad_data',
  format: 'bad_data',
  limit: 'bad_data',
  storage_locked: 'internal',
  storage_full: 'internal',
  storage_unavailable: 'unavailable',
  storage_corrupt: 'internal',
  storage_unsuitable: 'internal',
};

export interface ErrorAnswer {
  readonly httpStatus: number;
  readonly errorType: string;
  readonly message: string;
  /** A fault of ours, to be logged whole. */
  readonly unexpected: boolean;
}

/** What a client may know of a failure: messages written for people; of bugs only that it was one. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof CanopyError) {
    const { httpStatus, message, code } = error;
    return { httpStatus, errorType: ERROR_TYPES[code] ?? code, message, unexpected: false };
  }
  const message = 'internal error; the log of the server says more';
  return { httpStatus: 500, errorType: 'internal', message, unexpected: true };
}

export function sendError(res: ServerResponse, error: ErrorAnswer): void {
  const { errorType, message } = error;
  const text = JSON.stringify({ status: 'error', errorType, error: message });
  res.statusCode = error.httpStatus;
  res.setHeader('Content-Type', 'application/json');
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(text);
}

/** Plain text, as Prometheus answers outside its API. */
export function sendText(res: ServerResponse, status: number, text: string): void {
  res.statusCode = status;
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(text);
}
