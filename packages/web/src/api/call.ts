import type { WebOptions } from '../options.js';
import type { Answer } from './answer.js';
import type { Params } from './params.js';

/** One API request, ready to be answered. */
export interface Call {
  readonly options: WebOptions;
  readonly params: Params;
  /** Values of `:name` parts of the path, decoded. */
  readonly path: Readonly<Record<string, string>>;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}

/** Answers one API request; throws CanopyError for what the client can mend. */
export type Handler = (call: Call) => Answer | Promise<Answer>;
