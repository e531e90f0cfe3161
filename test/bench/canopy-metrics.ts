/** What a leaf or parent says of itself. */
import { get } from '../processes.js';

export interface OwnMetrics {
  /** Of all series of the name; 0 where there is none. */
  sum(name: string): number;
  /** Of the one series of the name with this label value; NaN where there is none. */
  of(name: string, label: string, value: string): number;
}

export async function ownMetrics(url: string, ms?: number): Promise<OwnMetrics> {
  const lines: Array<[name: string, labels: string, value: number]> = [];
  for (const line of (await get(`${url}/metrics`, {}, ms)).split('\n')) {
    const match = /^([a-z0-9_:]+)(\{.*\})? (\S+)$/.exec(line);
    if (match !== null) lines.push([match[1], match[2] ?? '', Number(match[3])]);
  }
  return {
    sum: (wanted) =>
      lines.reduce((sum, [name, , value]) => (name === wanted ? sum + value : sum), 0),
    of: (wanted, label, value) => {
      const text = `${label}="${value}"`;
      const found = lines.find(([name, labels]) => name === wanted && labels.includes(text));
      return found?.[2] ?? NaN;
    },
  };
}

/** The value below which a share of the values lies; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}
