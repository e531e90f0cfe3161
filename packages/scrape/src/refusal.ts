/** Why a scrape was refused, in one word for counters and the ledger. */
import { CanopyError } from '@canopy/model';

/** Limits by the names of their keys, and what `enforcedLabels` refuse. */
export type LimitName =
  | 'body_size_limit'
  | 'sample_limit'
  | 'label_limit'
  | 'label_name_length_limit'
  | 'label_value_length_limit'
  | 'target_limit'
  /** A series says of itself what its target may not say. */
  | 'forged_label';

/** A limit of the configuration was exceeded. */
export class LimitError extends CanopyError {
  readonly limit: LimitName;

  constructor(limit: LimitName, message: string) {
    super('limit', message);
    this.limit = limit;
  }
}

/** The limit's name, else the error's code; `internal` for what is no CanopyError. */
export function failureReason(error: unknown): string {
  if (error instanceof LimitError) return error.limit;
  return error instanceof CanopyError ? error.code : 'internal';
}

/** Whether something came and was not taken, which the ledger tells; else there was nothing to take. */
export function isRefusal(error: unknown): boolean {
  return error instanceof CanopyError && ['limit', 'format', 'bad_data'].includes(error.code);
}
