/** Label sets, label names and values, and what exporters say of metrics. */
import {
  CanopyError,
  type Family,
  type Labels,
  type Matcher,
  type Snapshot,
  type TimeRange,
  compareLabels,
  compareUtf8,
  labelValue,
} from '@canopy/model';
import { parseSelector } from '@canopy/promql';
import { type Answer, TRUNCATED } from './answer.js';
import type { Call } from './call.js';
import { type JsonOutput, labelsJson, writeArray } from './json-output.js';
import { MAX_TIME, MIN_TIME, invalidParameter } from './params.js';
import { sortYielding } from './yielding.js';

export async function series(call: Call): Promise<Answer> {
  const matcherSets = readMatcherSets(call);
  if (matcherSets.length === 0) {
    throw new CanopyError('bad_data', 'no match[] parameter provided');
  }
  const range = readRange(call);
  const limit = call.params.limit('limit');
  const found = await withSnapshot(call, (snapshot) => snapshot.series(matcherSets, range));
  const sorted = await sortYielding(found, compareLabels, call.signal);
  return limited(sorted, limit, (out, labels) => out.writeLabels(labels));
}

export async function labelNames(call: Call): Promise<Answer> {
  const matcherSets = readMatcherSets(call);
  const range = readRange(call);
  const limit = call.params.limit('limit');
  const names = await withSnapshot(call, (snapshot) => snapshot.labelNames(matcherSets, range));
  return limited(names, limit, writeText);
}

export async function labelValues(call: Call): Promise<Answer> {
  const name = unescapeName(call.path.name);
  if (name === '' || /\p{Surrogate}/u.test(name)) {
    throw new CanopyError('bad_data', `invalid label name: ${JSON.stringify(name)}`);
  }
  const matcherSets = readMatcherSets(call);
  const range = readRange(call);
  const limit = call.params.limit('limit');
  const values = await withSnapshot(call, (snapshot) =>
    snapshot.labelValues(name, matcherSets, range),
  );
  return limited(values, limit, writeText);
}

export function metadata(call: Call): Answer {
  const metric = call.params.text('metric');
  const limit = readCount(call, 'limit');
  const perMetric = readCount(call, 'limit_per_metric');
  const all = call.options.queryable.metadata();
  const names = (metric === '' ? [...all.keys()] : all.has(metric) ? [metric] : []).sort(
    compareUtf8,
  );
  const listed = limit < 0 ? names : names.slice(0, limit);
  const data = async (out: JsonOutput): Promise<void> => {
    out.write('{');
    let first = true;
    for (const name of listed) {
      const families = all.get(name) ?? [];
      const shown = perMetric > 0 ? families.slice(0, perMetric) : families;
      out.write(`${first ? '' : ','}${JSON.stringify(name)}:[${shown.map(familyJson).join(',')}]`);
      first = false;
      if (out.full) await out.drain();
    }
    out.write('}');
  };
  return { data };
}

function familyJson({ type, help, unit }: Family): string {
  return JSON.stringify({ type, help, unit });
}

/** What each active target says of its metrics, as far as the recent samples know. */
export async function targetsMetadata(call: Call): Promise<Answer> {
  const { params, options } = call;
  const metric = params.text('metric');
  const limit = readCount(call, 'limit');
  const wanted = params.text('match_target');
  const matchers = wanted === '' ? [] : readSelector('match_target', wanted);
  const now = options.clock.now();
  const range: TimeRange = { minTime: (now - options.lookback) as typeof now, maxTime: now };
  const rows: string[] = [];
  let targets = 0;
  await withSnapshot(call, async (snapshot) => {
    for (const { labels } of options.targets.active()) {
      if (limit >= 0 && targets >= limit) return;
      if (!matchers.every((matcher) => matcher.matches(labelValue(labels, matcher.name)))) continue;
      targets++;
      const families = await familiesOf(snapshot, labels, range, call.signal);
      for (const [name, family] of families) {
        if (metric !== '' && name !== metric) continue;
        const said = `"type":${JSON.stringify(family.type)},"help":${JSON.stringify(family.help)}`;
        const named = metric === '' ? `"metric":${JSON.stringify(name)},` : '';
        rows.push(
          `{"target":${labelsJson(labels)},${named}${said},"unit":${JSON.stringify(family.unit)}}`,
        );
      }
    }
  });
  return limited(rows, 0, (out, row) => out.write(row));
}

async function familiesOf(
  snapshot: Snapshot,
  target: Labels,
  range: TimeRange,
  signal: AbortSignal,
): Promise<Map<string, Family>> {
  const families = new Map<string, Family>();
  const matchers: Matcher[] = [];
  for (let i = 0; i < target.length; i += 2) {
    const value = target[i + 1];
    matchers.push({ name: target[i], op: '=', value, matches: (text) => text === value });
  }
  if (matchers.length === 0) return families;
  for (const { family } of await snapshot.select(matchers, range, signal)) {
    if (family !== undefined) families.set(family.name, family);
  }
  return new Map([...families].sort(([a], [b]) => compareUtf8(a, b)));
}

/** A count that may be absent (-1). */
function readCount({ params }: Call, name: string): number {
  const text = params.text(name);
  if (text === '') return -1;
  if (!/^-?\d{1,15}$/.test(text)) throw new CanopyError('bad_data', `${name} must be a number`);
  return Number(text);
}

export function readRange({ params }: Call): TimeRange {
  return { minTime: params.time('start', MIN_TIME), maxTime: params.time('end', MAX_TIME) };
}

export function readMatcherSets({ params }: Call): Matcher[][] {
  return params.all('match[]').map((text) => readSelector('match[]', text));
}

function readSelector(parameter: string, text: string): Matcher[] {
  try {
    return parseSelector(text);
  } catch (error) {
    if (error instanceof CanopyError && error.code === 'bad_data') {
      throw invalidParameter(parameter, error.message);
    }
    throw error;
  }
}

async function withSnapshot<T>(call: Call, read: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  const snapshot = call.options.queryable.snapshot();
  try {
    const found = await read(snapshot);
    call.signal.throwIfAborted();
    return found;
  } finally {
    snapshot.release();
  }
}

const writeText = (out: JsonOutput, text: string): void => out.write(JSON.stringify(text));

function limited<T>(
  items: readonly T[],
  limit: number,
  writeItem: (out: JsonOutput, item: T) => void,
): Answer {
  const cut = limit > 0 && items.length > limit;
  const listed = cut ? items.slice(0, limit) : items;
  const data = (out: JsonOutput): Promise<void> =>
    writeArray(out, listed, (item) => writeItem(out, item));
  return { data, warnings: cut ? [TRUNCATED] : [] };
}

/**
 * Undoes the escaping of names in paths: `U__` and then `__` for `_`, `_hex_` for any other
 * character. A text that is not properly escaped stands for itself.
 */
export function unescapeName(text: string): string {
  if (!text.startsWith('U__')) return text;
  const token = /__|_([0-9a-fA-F]{1,6})_|[^_]+/y;
  let name = '';
  token.lastIndex = 3;
  while (token.lastIndex < text.length) {
    const part = token.exec(text);
    if (part === null) return text;
    if (part[1] === undefined) {
      name += part[0] === '__' ? '_' : part[0];
      continue;
    }
    const code = Number.parseInt(part[1], 16);
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return text;
    name += String.fromCodePoint(code);
  }
  return name;
}
