/**
 * Which families a text answer has: each metric under one header, each header once, whatever the
 * sources say of them.
 */
import { type EscapingScheme, escapeName } from '@canopy/exposition';
import {
  type Family,
  type Labels,
  METRIC_NAME,
  type MetricType,
  compareUtf8,
  isLegacyMetricName,
  labelValue,
  labelsKey,
} from '@canopy/model';

/** One series as it will be written. */
export interface LastSample {
  readonly labels: Labels;
  readonly family: Family | undefined;
  readonly time: number;
  readonly value: number;
}

export interface NamedMetric {
  readonly name: string;
  readonly samples: LastSample[];
}

export interface FamilyPlan {
  readonly header: Family;
  /** By name. */
  readonly metrics: NamedMetric[];
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
 * Samples by their metric's name as it will be written; labels' names are the encoder's. Names that become one stand
 * together. Returns `metrics` where nothing changes.
 */
export function withEscapedNames(
  metrics: ReadonlyMap<string, LastSample[]>,
  escaping: EscapingScheme,
): ReadonlyMap<string, LastSample[]> {
  if (escaping === 'allow-utf-8' || [...metrics.keys()].every(isLegacyMetricName)) return metrics;
  const escaped = new Map<string, LastSample[]>();
  for (const [name, samples] of metrics) {
    const shown = isLegacyMetricName(name) ? name : escapeName(name, escaping);
    const families = new Map<Family | undefined, Family | undefined>();
    const renamed =
      shown === name ? samples : samples.map((sample) => rename(sample, shown, escaping, families));
    escaped.set(shown, [...(escaped.get(shown) ?? []), ...renamed]);
  }
  return escaped;
}

function rename(
  sample: LastSample,
  shown: string,
  escaping: EscapingScheme,
  families: Map<Family | undefined, Family | undefined>,
): LastSample {
  const { labels, family } = sample;
  let described = families.get(family);
  if (family !== undefined && described === undefined) {
    described = { ...family, name: escapeName(family.name, escaping) };
    families.set(family, described);
  }
  const at = labels.indexOf(METRIC_NAME);
  return { ...sample, labels: labels.with(at + 1, shown), family: described };
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
function descriptions(name: string, samples: readonly LastSample[], dialect: Dialect): Votes {
  // Fast path: series of one group share the object, so few texts are compared.
  const counts = new Map<Family | undefined, number>();
  for (const { family } of samples) counts.set(family, (counts.get(family) ?? 0) + 1);
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
 * Families sorted by name. Where series of one name come with different descriptions, the most
 * common wins; a family whose members disagree on its type counts as one conflict.
 */
export function planFamilies(
  metrics: ReadonlyMap<string, LastSample[]>,
  dialect: Dialect = TEXT_DIALECT,
): { families: FamilyPlan[]; conflicts: number } {
  const headers = new Map<string, Poll>();
  const chosen = new Map<string, Family>();
  for (const [name, samples] of metrics) {
    const said = descriptions(name, samples, dialect);
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
  for (const [name, samples] of metrics) {
    const wanted = types.get(chosen.get(name)!.name)!;
    const header = belongsTo(name, wanted, dialect) ? wanted : plain(name);
    const family = families.get(header.name) ?? { header, metrics: [] };
    families.set(header.name, family);
    family.metrics.push({ name, samples });
  }
  const sorted = [...families.values()].sort((a, b) => compareUtf8(a.header.name, b.header.name));
  for (const family of sorted) family.metrics.sort((a, b) => compareUtf8(a.name, b.name));
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

/** The label that tells the lines of one metric apart, for types that have several. */
const LINE_LABEL: Readonly<Partial<Record<MetricType, string>>> = {
  histogram: 'le',
  gaugehistogram: 'le',
  summary: 'quantile',
};

/**
 * Puts the lines of a histogram or summary together, its bounds in ascending order, as both formats
 * want them; of other types, samples stay as they came.
 */
export class LineOrder {
  readonly #label: string | undefined;
  readonly #groups = new Map<string, LastSample[]>();
  readonly #plain: LastSample[] = [];

  constructor(type: MetricType) {
    this.#label = LINE_LABEL[type];
  }

  add(sample: LastSample): void {
    if (this.#label === undefined) return void this.#plain.push(sample);
    const rest: string[] = [];
    const { labels } = sample;
    for (let i = 0; i < labels.length; i += 2) {
      if (labels[i] !== METRIC_NAME && labels[i] !== this.#label)
        rest.push(labels[i], labels[i + 1]);
    }
    const key = labelsKey(rest);
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, [sample]);
    else group.push(sample);
  }

  *samples(): Iterable<LastSample> {
    yield* this.#plain;
    const label = this.#label!;
    // Lines without a bound (`_sum`, `_count`) come last, in the order in which they were added.
    const bound = ({ labels }: LastSample): number => {
      const text = labelValue(labels, label);
      return text === '' ? Infinity : text === '+Inf' ? Number.MAX_VALUE : Number(text);
    };
    for (const group of this.#groups.values()) {
      yield* group.sort((a, b) => {
        const [x, y] = [bound(a), bound(b)];
        return x < y ? -1 : x > y ? 1 : 0;
      });
    }
  }
}
