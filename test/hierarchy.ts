/** Questions that tests put to a running hierarchy. */
import type { JournalPosition, JournalReport, Ledger, LedgerReport } from '@canopy/model';
import { type ApiSeries, eventually, get, query } from './processes.js';

const labelsText = (series: ApiSeries): string =>
  JSON.stringify(Object.entries(series.metric).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Raw samples of every series that matches, as text by label set, of the half hour before `time` (Unix seconds). */
export async function rawSamples(
  base: string,
  selector: string,
  time: number,
): Promise<Map<string, string>> {
  const result = await query(base, `${selector}[30m]`, time);
  return new Map(result.map((series) => [labelsText(series), JSON.stringify(series.values)]));
}

export interface Gap {
  readonly cause: string;
  readonly from: number;
  readonly to: number;
}

/** What a parent says of one journal that it pulls. */
export type SourceLedger = Ledger & { readonly position: JournalPosition };

interface Source {
  readonly name: string;
  readonly url: string;
  readonly journals: ReadonlyArray<{
    readonly ref: string;
    readonly position: JournalPosition;
    readonly ledger: Ledger;
  }>;
}

async function sourcesOf(base: string): Promise<readonly Source[]> {
  const body = JSON.parse(await get(`${base}/api/v1/status/hierarchy`)) as {
    data: { sources: Source[] };
  };
  return body.data.sources;
}

/** Two sources may call themselves the same. */
const journalsOf = (sources: readonly Source[], name: string): readonly Source['journals'][0][] =>
  sources.filter((source) => source.name === name).flatMap(({ journals }) => journals);

/** Waits until `base` is complete for each source, or one journal of it, up to `time` (Unix seconds). */
export async function completeUpTo(
  base: string,
  time: number,
  sources: readonly string[],
  ref?: string,
  ms = 30_000,
): Promise<void> {
  await eventually(ms, `${base} complete up to ${time}`, async () => {
    const all = await sourcesOf(base);
    for (const name of sources) {
      const journals = journalsOf(all, name);
      const asked = ref === undefined ? journals : journals.filter((one) => one.ref === ref);
      const marks = asked.map((journal) => journal.ledger.watermark);
      if (marks.length === 0 || Math.min(...marks) < time * 1000) {
        const there = all.map((one) => [
          one.name,
          one.url,
          one.journals.map(({ ref: its }) => its),
        ]);
        throw new Error(`${name} ${ref ?? ''}: ${marks.join()} of ${JSON.stringify(there)}`);
      }
    }
  });
}

/** Every gap that `base` names for a source. */
export async function gapsOf(base: string, name: string): Promise<readonly Gap[]> {
  const journals = journalsOf(await sourcesOf(base), name);
  return journals.flatMap((journal) => journal.ledger.gaps);
}

/** What `base` has counted of a source's journal. */
export async function ledgerOf(base: string, name: string, ref: string): Promise<SourceLedger> {
  const journals = journalsOf(await sourcesOf(base), name);
  const journal = journals.find((one) => one.ref === ref);
  if (journal === undefined) throw new Error(`${base} has no journal ${ref} of ${name}`);
  return { ...journal.ledger, position: journal.position };
}

/** What `/api/v1/status/ledger` makes of a journal. */
export async function reportOf(base: string, ref: string): Promise<JournalReport> {
  const body = JSON.parse(await get(`${base}/api/v1/status/ledger`)) as { data: LedgerReport };
  const report = body.data.journals.find((one) => one.ref === ref);
  if (report === undefined) throw new Error(`${base} has no ledger of journal ${ref}`);
  return report;
}
