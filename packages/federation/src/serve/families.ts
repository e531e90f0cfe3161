/**
 * Which families a text answer has: each metric under one header, each header once, whatever the
 * sources say of them.
 */
import { type Family, type Labels, type MetricType, compareUtf8 } from '@canopy/model';

/** One series as it will be written. */
export interface LastSample {
  readonly labels: Labels;
  readonly family: Family | undefined;
  readonly time: number;
  readonly value: number;
}

/** The header of a family, as it is written. */
export type Header = Pick<Family, 'name' | 'type' | 'help'>;

export interface NamedMetric {
  readonly name: string;
  readonly samples: LastSample[];
}

export interface FamilyPlan {
  readonly header: Header;
  /** By name. */
  readonly metrics: NamedMetric[];
}

/** Suffixes that text 0.0.4 puts under the header of the family without them. */
const SUFFIXES: Readonly<Partial<Record<MetricType, readonly string[]>>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/** Descriptions with the number of series that have them, by a key equal for equal ones. */
type Votes = Map<string, { readonly choice: Header; count: number }>;

interface Poll {
  readonly votes: Votes;
  readonly types: Set<MetricType>;
}

function cast(votes: Votes, key: string, choice: Header, count: number): void {
  const known = votes.get(key);
  if (known === undefined) votes.set(key, { choice, count });
  else known.count += count;
}

/** The most common; of equals the one whose key comes first, so that answers do not waver. */
function winner(votes: Votes): Header {
  const sorted = [...votes].sort((a, b) => b[1].count - a[1].count || compareUtf8(a[0], b[0]));
  return sorted[0][1].choice;
}

/** What the series of one name say of their family. */
function descriptions(name: string, samples: readonly LastSample[]): Votes {
  // Fast path: series of one group share the object, so few texts are compared.
  const counts = new Map<Family | undefined, number>();
  for (const { family } of samples) counts.set(family, (counts.get(family) ?? 0) + 1);
  const votes: Votes = new Map();
  for (const [family, count] of counts) {
    const header = headerOf(name, family);
    cast(votes, JSON.stringify([header.name, header.type, header.help]), header, count);
  }
  return votes;
}

/**
 * Families sorted by name. Where series of one name come with different descriptions, the most
 * common wins; a family whose members disagree on its type counts as one conflict.
 */
export function planFamilies(metrics: ReadonlyMap<string, LastSample[]>): {
  families: FamilyPlan[];
  conflicts: number;
} {
  const headers = new Map<string, Poll>();
  const chosen = new Map<string, Header>();
  for (const [name, samples] of metrics) {
    const said = descriptions(name, samples);
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
  const types = new Map<string, Header>();
  let conflicts = 0;
  for (const [name, poll] of headers) {
    types.set(name, winner(poll.votes));
    poll.types.delete('unknown');
    if (poll.types.size > 1) conflicts++;
  }
  const families = new Map<string, FamilyPlan>();
  for (const [name, samples] of metrics) {
    const wanted = types.get(chosen.get(name)!.name)!;
    const header = belongsTo(name, wanted) ? wanted : { name, type: 'unknown' as const, help: '' };
    const family = families.get(header.name) ?? { header, metrics: [] };
    families.set(header.name, family);
    family.metrics.push({ name, samples });
  }
  const sorted = [...families.values()].sort((a, b) => compareUtf8(a.header.name, b.header.name));
  for (const family of sorted) family.metrics.sort((a, b) => compareUtf8(a.name, b.name));
  return { families: sorted, conflicts };
}

function headerOf(name: string, family: Family | undefined): Header {
  if (family === undefined) return { name, type: 'unknown', help: '' };
  const { type, help } = family;
  return belongsTo(name, family) ? { name: family.name, type, help } : { name, type, help };
}

/** Whether a parser puts the metric under this header. */
function belongsTo(name: string, header: Pick<Family, 'name' | 'type'>): boolean {
  if (!name.startsWith(header.name)) return false;
  const suffixes = SUFFIXES[header.type];
  if (suffixes === undefined) return name === header.name;
  return suffixes.includes(name.slice(header.name.length));
}
