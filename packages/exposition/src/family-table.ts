/**
 * What HELP, TYPE and UNIT lines of one target said, and which of it was told to the resolver.
 */
import { CanopyError, type Family, type MetricType } from '@canopy/model';

/** What series of a family may have after its name, by its type; each has one underscore. */
type Suffixes = { readonly [type in MetricType]?: readonly string[] };

/** Text 0.0.4: the family of a counter is named as its series. */
const TEXT_SUFFIXES: Suffixes = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['_sum', '_count'],
};
/** OpenMetrics 1.0; protobuf has a gauge histogram's `_sum` and `_count` without the `g`. */
export const OPENMETRICS_SUFFIXES: Suffixes = {
  counter: ['_total', '_created'],
  histogram: ['_bucket', '_sum', '_count', '_created'],
  gaugehistogram: ['_bucket', '_gsum', '_gcount', '_sum', '_count'],
  summary: ['_sum', '_count', '_created'],
  info: ['_info'],
};
const ALL_SUFFIXES: ReadonlySet<string> = new Set([
  '',
  ...Object.values(OPENMETRICS_SUFFIXES).flat(),
]);

export class FamilyTable {
  readonly #families = new Map<string, Family>();
  /** Names of families handed out, and of series for which there was none. */
  readonly #asked = new Set<string>();
  /** Families to describe: changed since they were handed out. */
  readonly #changed = new Set<string>();
  readonly #countMax: number;
  readonly #suffixes: Suffixes;

  constructor(countMax: number, suffixes = TEXT_SUFFIXES) {
    this.#countMax = countMax;
    this.#suffixes = suffixes;
  }

  setType(name: string, type: MetricType): void {
    const known = this.#families.get(name);
    if (known?.type === type) return;
    this.#set({ name, type, help: known?.help ?? '', unit: known?.unit ?? '' });
  }

  setHelp(name: string, help: string): void {
    const known = this.#families.get(name);
    if (known?.help === help) return;
    this.#set({ name, type: known?.type ?? 'unknown', help, unit: known?.unit ?? '' });
  }

  setUnit(name: string, unit: string): void {
    const known = this.#families.get(name);
    if (known?.unit === unit) return;
    this.#set({ name, type: known?.type ?? 'unknown', help: known?.help ?? '', unit });
  }

  #set(family: Family): void {
    const { name } = family;
    if (this.#families.size >= this.#countMax && !this.#families.has(name)) {
      throw new CanopyError('limit', `more than ${this.#countMax} metric families in one target`);
    }
    this.#families.set(name, Object.freeze(family));
    for (const suffix of ALL_SUFFIXES) if (this.#asked.has(name + suffix)) this.#changed.add(name);
  }

  /** The family that a series of this name belongs to. The answer counts as told. */
  of(metricName: string): Family | undefined {
    const family = this.#find(metricName);
    this.#asked.add(family?.name ?? metricName);
    return family;
  }

  #find(metricName: string): Family | undefined {
    const exact = this.#families.get(metricName);
    if (exact !== undefined) return exact;
    const at = metricName.lastIndexOf('_');
    const family = at > 0 ? this.#families.get(metricName.slice(0, at)) : undefined;
    const suffixes = family && this.#suffixes[family.type];
    return suffixes?.includes(metricName.slice(at)) ? family : undefined;
  }

  /** Calls `describe` for each family changed since it was told, once. */
  describeChanged(describe: (family: Family) => void): void {
    for (const name of this.#changed) {
      const family = this.#families.get(name);
      if (family !== undefined) describe(family);
    }
    this.#changed.clear();
  }

  /** Forgets families that `keep` does not name. */
  retain(keep: ReadonlySet<string>): void {
    for (const name of this.#families.keys()) {
      if (keep.has(name)) continue;
      this.#families.delete(name);
      this.#asked.delete(name);
    }
    // Names without a family are few, or, where exporters make names up, not worth keeping.
    if (this.#asked.size > this.#countMax) {
      for (const name of this.#asked) if (!this.#families.has(name)) this.#asked.delete(name);
    }
  }
}
