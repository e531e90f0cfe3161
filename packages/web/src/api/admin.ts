/** `/api/v1/admin/tsdb/*`, behind `--web.enable-admin-api`. */
import { CanopyError } from '@canopy/model';
import { parseSelector } from '@canopy/promql';
import { type Answer, NO_CONTENT, plain } from './answer.js';
import type { Call } from './call.js';
import { MAX_TIME, MIN_TIME, invalidParameter } from './params.js';
import type { WebOptions } from '../options.js';

export async function snapshot(call: Call): Promise<Answer> {
  const admin = enabled(call);
  // Read as Prometheus does; a snapshot always holds everything.
  call.params.flag('skip_head', false);
  return plain({ name: await admin.snapshot() });
}

export async function deleteSeries(call: Call): Promise<Answer> {
  const admin = enabled(call);
  const { params } = call;
  const selectors = params.all('match[]');
  if (selectors.length === 0) throw new CanopyError('bad_data', 'no match[] parameter provided');
  const start = params.time('start', MIN_TIME);
  const end = params.time('end', MAX_TIME);
  if (end < start) throw invalidParameter('end', 'end timestamp must not be before start time');
  for (const text of selectors) {
    try {
      parseSelector(text);
    } catch (error) {
      if (!(error instanceof CanopyError)) throw error;
      throw invalidParameter('match[]', error.message);
    }
  }
  await admin.deleteSeries(selectors, start, end);
  return NO_CONTENT;
}

export async function cleanTombstones(call: Call): Promise<Answer> {
  await enabled(call).cleanTombstones();
  return NO_CONTENT;
}

function enabled({ options }: Call): NonNullable<WebOptions['admin']> {
  if (options.admin) return options.admin;
  throw new CanopyError('unavailable', 'admin APIs disabled');
}
