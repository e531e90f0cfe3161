/**
 * What HELP and TYPE lines of one target said, and which of it was told to the resolver.
 */
import { CanopyError, type Family, type MetricType } from '@canopy/model';

const HISTOGRAM_SUFFIX = /^(.+)_(?:bucket|sum|count)$/s;
const SUMMARY_SUFFIX = /^(.+)_(?:sum|count)$/s;
const SUFFIXES = ['', '_bucket', '_sum', '_count'] as const;

export class FamilyTable {
  readonly #families = new Map<string, Family>();
  /** Names of families handed out, and of series for which there was none. */
  readonly #asked = new Set<string>();
  /** Families to describe: changed since they were handed out. */
  readonly #changed = new Set<string>();
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  setType(name: string, type: MetricType): void {
    const known = this.#families.get(name);
    if (known?.type === type) return;
    this.#set({ name, type, help: known?.help ?? '', unit: '' });
  }

  setHelp(name: string, help: string): void {
    const known = this.#families.get(name);
    if (known?.help === help) return;
    this.#set({ name, type: known?.type ?? 'unknown', help, unit: '' });
  }

  #set(family: Family): void {
    const { name } = family;
    if (this.#families.size >= this.#countMax && !this.#families.has(name)) {
      throw new CanopyError('limit', `more than ${this.#countMax} metric families in one target`);
    }
    this.#families.set(name, Object.freeze(family));
    if (SUFFIXES.some((suffix) => this.#asked.has(name + suffix))) this.#changed.add(name);
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
    const base = HISTOGRAM_SUFFIX.exec(metricName)?.[1];
    if (base === undefined) return undefined;
    const family = this.#families.get(base);
    if (family?.type === 'histogram') return family;
    if (family?.type === 'summary' && SUMMARY_SUFFIX.test(metricName)) return family;
    return undefined;
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
