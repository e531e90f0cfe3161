/**
 * Which families a text answer has: each metric under one header, each header once, whatever the
 * sources say of them.
 */
import { type EscapingScheme, escapeName } from '@canopy/exposition';
import { type Family, type MetricType, compareUtf8, isLegacyMetricName } from '@canopy/model';

/** How many series of a metric have each description; undefined: none. */
export type FamilyCounts = Map<Family | undefined, number>;

export interface FamilyPlan {
  readonly header: Family;
  /** Names, sorted. */
  readonly metrics: string[];
}

/** How a text format puts metrics under families. */
export interface Dialect {
  /** What follows the family's name in its metrics' names; the name itself where not listed. */
  readonly suffixes: Readonly<Partial<Record<MetricType, readonly string[]>>>;
  /** The name of the family in this format. */
  familyName(family: Family): string;
}

export const TEXT_DIALECT: Dialect = {
  suffixes: { histogram: ['_bucket', '_sum', '_count'], summary: ['', '_sum', '_count'] },
  familyName: ({ name }) => name,
};

/** The OpenMetrics specification, "Metric Types" and "Suffixes". */
export const OPENMETRICS_DIALECT: Dialect = {
  suffixes: {
    counter: ['_total', '_created'],
    histogram: ['_bucket', '_sum', '_count', '_created'],
    gaugehistogram: ['_bucket', '_gsum', '_gcount'],
    summary: ['', '_sum', '_count', '_created'],
    info: ['_info'],
  },
  // A counter that was read from text 0.0.4 has the suffix in its family's name.
  familyName: ({ name, type }) =>
    type === 'counter' && name.endsWith('_total') ? name.slice(0, -'_total'.length) : name,
};

/**
 * Series by their metric's name as it will be written. Names that become one stand together. Returns `metrics`
 * where nothing changes.
 */
export function withEscapedNames(
  metrics: ReadonlyMap<string, Uint32Array>,
  escaping: EscapingScheme,
): ReadonlyMap<string, Uint32Array> {
  if (escaping === 'allow-utf-8' || [...metrics.keys()].every(isLegacyMetricName)) return metrics;
  const escaped = new Map<string, Uint32Array>();
  for (const [name, series] of metrics) {
    const shown = escapedName(name, escaping);
    const others = escaped.get(shown);
    escaped.set(shown, others === undefined ? series : joined([others, series]));
  }
  return escaped;
}

export const escapedName = (name: string, escaping: EscapingScheme): string =>
  isLegacyMetricName(name) ? name : escapeName(name, escaping);

/** One list after the other; fresh. */
export function joined(lists: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(lists.reduce((sum, list) => sum + list.length, 0));
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}

/**
 * Metric names that may come to stand under one header are planned together, whatever else there is: those
 * with the same stem. Stems are sorted.
 */
export function byStem(names: Iterable<string>, dialect: Dialect): Array<[string, string[]]> {
  const suffixes = [...new Set(Object.values(dialect.suffixes).flat())].filter((s) => s !== '');
  const stems = new Map<string, string[]>();
  for (const name of names) {
    let stem = name;
    for (let end: string | undefined = ''; end !== undefined; ) {
      stem = stem.slice(0, stem.length - end.length);
      end = suffixes.find((suffix) => stem.endsWith(suffix));
    }
    const known = stems.get(stem);
    if (known === undefined) stems.set(stem, [name]);
    else known.push(name);
  }
  return [...stems].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Descriptions with the number of series that have them, by a key equal for equal ones. */
type Votes = Map<string, { readonly choice: Family; count: number }>;

interface Poll {
  readonly votes: Votes;
  readonly types: Set<MetricType>;
}

function cast(votes: Votes, key: string, choice: Family, count: number): void {
  const known = votes.get(key);
  if (known === undefined) votes.set(key, { choice, count });
  else known.count += count;
}

/** The most common; of equals the one whose key comes first, so that answers do not waver. */
function winner(votes: Votes): Family {
  const sorted = [...votes].sort((a, b) => b[1].count - a[1].count || compareUtf8(a[0], b[0]));
  return sorted[0][1].choice;
}

/** What the series of one name say of their family. */
function descriptions(name: string, counts: FamilyCounts, dialect: Dialect): Votes {
  const votes: Votes = new Map();
  for (const [family, count] of counts) {
    const header = headerOf(name, family, dialect);
    cast(
      votes,
      JSON.stringify([header.name, header.type, header.help, header.unit]),
      header,
      count,
    );
  }
  return votes;
}

/**
 * Families sorted by name, of metrics that have samples. Where series of one name come with different descriptions, the most
 * common wins; a family whose members disagree on its type counts as one conflict.
 */
export function planFamilies(
  metrics: ReadonlyMap<string, FamilyCounts>,
  dialect: Dialect = TEXT_DIALECT,
): { families: FamilyPlan[]; conflicts: number } {
  const headers = new Map<string, Poll>();
  const chosen = new Map<string, Family>();
  for (const [name, counts] of metrics) {
    const said = descriptions(name, counts, dialect);
    const header = winner(said);
    chosen.set(name, header);
    let poll = headers.get(header.name);
    if (poll === undefined) {
      poll = { votes: new Map(), types: new Set() };
      headers.set(header.name, poll);
    }
    for (const [key, { choice, count }] of said) {
      if (choice.name !== header.name) {
        poll.types.add(choice.type);
        continue;
      }
      cast(poll.votes, key, choice, count);
      poll.types.add(choice.type);
    }
  }
  const types = new Map<string, Family>();
  let conflicts = 0;
  for (const [name, poll] of headers) {
    types.set(name, winner(poll.votes));
    poll.types.delete('unknown');
    if (poll.types.size > 1) conflicts++;
  }
  for (const [name, header] of types) {
    // A metric of the family's own name stands under no other header: what it says of itself counts.
    if (!metrics.has(name) || belongsTo(name, header, dialect)) continue;
    const own = chosen.get(name)!;
    types.set(name, belongsTo(name, own, dialect) ? own : plain(name));
  }
  const families = new Map<string, FamilyPlan>();
  for (const name of metrics.keys()) {
    const wanted = types.get(chosen.get(name)!.name)!;
    const header = belongsTo(name, wanted, dialect) ? wanted : plain(name);
    const family = families.get(header.name) ?? { header, metrics: [] };
    families.set(header.name, family);
    family.metrics.push(name);
  }
  const sorted = [...families.values()].sort((a, b) => compareUtf8(a.header.name, b.header.name));
  for (const family of sorted) family.metrics.sort(compareUtf8);
  return { families: sorted, conflicts };
}

const plain = (name: string, help = ''): Family => ({ name, type: 'unknown', help, unit: '' });

function headerOf(name: string, family: Family | undefined, dialect: Dialect): Family {
  if (family === undefined) return plain(name);
  const { type, help, unit } = family;
  const shown: Family = { name: dialect.familyName(family), type, help, unit };
  if (belongsTo(name, shown, dialect)) return shown;
  const own: Family = { name, type, help, unit: '' };
  // Not every name may have its type: an OpenMetrics counter ends with `_total`.
  return belongsTo(name, own, dialect) ? own : plain(name, help);
}

/** Whether a parser puts the metric under this header. */
function belongsTo(name: string, header: Pick<Family, 'name' | 'type'>, dialect: Dialect): boolean {
  if (!name.startsWith(header.name)) return false;
  const suffixes = dialect.suffixes[header.type];
  if (suffixes === undefined) return name === header.name;
  return suffixes.includes(name.slice(header.name.length));
}
