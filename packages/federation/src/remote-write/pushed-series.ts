/**
 * Label set → slot of a group. Series with the same job and instance are written together, as if one
 * target had been scraped: their samples mostly share their times.
 */
import {
  type DurationMs,
  type Family,
  type Journal,
  type Labels,
  METRIC_NAME,
  type Milliseconds,
  labelValue,
  labelsFromObject,
  labelsKey,
} from '@canopy/model';
import { PushedGroup } from './pushed-group.js';

/** Slots of one group; a target with more has several. */
const GROUP_SLOTS_MAX = 4096;
/** Descriptions of metrics of 1.0 senders, which tell them apart from the series. */
const FAMILIES_MAX = 100_000;
/** Parts of a histogram or summary that have the description of the whole. */
const FAMILY_SUFFIX = /_(?:bucket|sum|count|total|created|info)$/;

export interface PushedSlot {
  readonly group: PushedGroup;
  /** Another one after a rebase. */
  slot: number;
}

export class PushedSeries {
  readonly #journal: Journal;
  readonly #seriesMax: number;
  readonly #slots = new Map<string, PushedSlot>();
  /** The group of a target that has room for more. */
  readonly #filling = new Map<string, PushedGroup>();
  readonly #groups = new Set<PushedGroup>();
  readonly #families = new Map<string, Family>();

  constructor(journal: Journal, seriesMax: number) {
    this.#journal = journal;
    this.#seriesMax = seriesMax;
  }

  get count(): number {
    return this.#slots.size;
  }

  /** The slot of a series; undefined where there are too many. `said` is what came with it. */
  slotOf(labels: Labels, said: Omit<Family, 'name'> | undefined): PushedSlot | undefined {
    const key = labelsKey(labels);
    let known = this.#slots.get(key);
    if (known === undefined) {
      if (this.#slots.size >= this.#seriesMax) return undefined;
      const group = this.#groupFor(labels);
      known = { group, slot: group.addSlot(labels, this.#familyOf(labels, said)) };
      this.#slots.set(key, known);
    } else if (said !== undefined) {
      known.group.describe({ name: familyName(labels, said), ...said });
    }
    return known;
  }

  /** What a 1.0 sender says of metrics, apart from their series, which mostly came before. */
  describe(families: readonly Family[]): void {
    if (families.length === 0) return;
    for (const family of families) {
      if (family.name === '') continue;
      if (!this.#families.has(family.name) && this.#families.size >= FAMILIES_MAX) continue;
      this.#families.set(family.name, family);
      for (const group of this.#groups) if (group.knows(family.name)) group.describe(family);
    }
    for (const group of this.#groups) group.retype((metric) => this.#described(metric));
  }

  /** Forgets series that no request has named for `idle`, where they are most of their group. */
  forget(now: Milliseconds, idle: DurationMs): void {
    const maps = new Map<PushedGroup, Int32Array>();
    for (const group of this.#groups) {
      const keep = group.sparse((now - idle) as Milliseconds);
      if (keep !== null) maps.set(group, group.rebase(keep));
    }
    if (maps.size === 0) return;
    for (const [key, known] of this.#slots) {
      const map = maps.get(known.group);
      if (map === undefined) continue;
      known.slot = map[known.slot];
      if (known.slot < 0) this.#slots.delete(key);
    }
  }

  close(): void {
    for (const group of this.#groups) group.writer.close();
  }

  #groupFor(labels: Labels): PushedGroup {
    const target = labelsFromObject({
      job: labelValue(labels, 'job'),
      instance: labelValue(labels, 'instance'),
    });
    const key = labelsKey(target);
    const known = this.#filling.get(key);
    if (known !== undefined && known.slotCount < GROUP_SLOTS_MAX) return known;
    const meta = { kind: 'loose', target, scrapeUrl: '', interval: 0 as DurationMs } as const;
    const group = new PushedGroup(this.#journal.openGroup(meta));
    this.#filling.set(key, group);
    this.#groups.add(group);
    return group;
  }

  #familyOf(labels: Labels, said: Omit<Family, 'name'> | undefined): Family | undefined {
    if (said !== undefined) return { name: familyName(labels, said), ...said };
    return this.#described(labelValue(labels, METRIC_NAME));
  }

  #described(metric: string): Family | undefined {
    return this.#families.get(metric) ?? this.#families.get(metric.replace(FAMILY_SUFFIX, ''));
  }
}

/** 2.0 tells the type with each series; its family is the metric without the part's suffix. */
function familyName(labels: Labels, { type }: Omit<Family, 'name'>): string {
  const name = labelValue(labels, METRIC_NAME);
  if (type === 'histogram' || type === 'gaugehistogram' || type === 'summary') {
    return name.replace(/_(?:bucket|sum|count)$/, '');
  }
  return name;
}
