/** `/api/v1/provenance`: where series have their samples from, and over which processes they came. */
import { CanopyError, type JournalRef, type SeriesOrigin, type SeriesOrigins } from '@canopy/model';
import type { Answer } from './answer.js';
import type { Call } from './call.js';
import { formatSeconds } from '@canopy/promql';
import { type JsonOutput, labelsJson, writeArray } from './json-output.js';
import { invalidParameter } from './params.js';
import { readMatcherSets, readRange } from './series.js';

const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 10_000;

/** Refused where more series match than `limit` (1,000, at most 10,000) says: half an answer would mislead. */
export async function provenance(call: Call): Promise<Answer> {
  const { params, options } = call;
  const matcherSets = readMatcherSets(call);
  if (matcherSets.length === 0) {
    throw new CanopyError('bad_data', 'no match[] parameter provided');
  }
  const range = readRange(call);
  const limit = params.limit('limit') || LIMIT_DEFAULT;
  if (limit > LIMIT_MAX) throw invalidParameter('limit', `limit must not exceed ${LIMIT_MAX}`);
  const found = await options.origins(matcherSets, range, limit);
  if (found === undefined) {
    throw new CanopyError(
      'limit',
      `more than ${limit} series match; say more in match[], or limit=`,
    );
  }
  const paths = new Map<JournalRef, string>();
  const pathJson = (ref: JournalRef): string => {
    let path = paths.get(ref);
    if (path === undefined) paths.set(ref, (path = JSON.stringify(options.pathOf(ref))));
    return path;
  };
  const data = (out: JsonOutput): Promise<void> =>
    writeArray(out, found, (series) => out.write(seriesJson(series, pathJson)));
  return { data };
}

type PathJson = (ref: JournalRef) => string;

function seriesJson({ labels, origins }: SeriesOrigins, pathJson: PathJson): string {
  const texts = origins.map((origin) => originJson(origin, pathJson));
  return `{"metric":${labelsJson(labels)},"origins":[${texts.join(',')}]}`;
}

function originJson(origin: SeriesOrigin, pathJson: PathJson): string {
  const { journal, epoch, group, scrapeUrl, from, to, open } = origin;
  const place = JSON.stringify({ journal, epoch, group, scrapeUrl }).slice(0, -1);
  const times = `"from":${formatSeconds(from)},"to":${formatSeconds(to)},"open":${open}`;
  return `${place},"path":${pathJson(journal)},${times}}`;
}
