/** What a process says of itself. */
import { availableParallelism, hostname } from 'node:os';
import {
  type HierarchyStatus,
  type JournalStatus,
  type Labels,
  METRIC_NAME,
  type SourceStatus,
  compareUtf8,
  emptyLedger,
  makeMatcher,
} from '@canopy/model';
import { type Answer, plain } from './answer.js';
import type { Call } from './call.js';
import { type JsonOutput, writeArray } from './json-output.js';
import { MAX_TIME, MIN_TIME, invalidParameter } from './params.js';
import { letOthersRun } from './yielding.js';

/**
 * The hierarchy, source by source so that a wide one is not one long text. `gaps=N` lists at most
 * the newest N gaps of each journal (`gapsTotal` counts them all).
 */
export function hierarchy({ params, options }: Call): Answer {
  const gaps = params.text('gaps') === '' ? Number.POSITIVE_INFINITY : params.limit('gaps');
  const { sources, ...own } = options.hierarchy();
  const data = async (out: JsonOutput): Promise<void> => {
    const shown = { ...own, journal: own.journal && withFewerGaps(own.journal, gaps) };
    out.write(`${JSON.stringify(shown).slice(0, -1)},"sources":`);
    await writeArray(out, sources, (source) =>
      out.write(JSON.stringify(sourceWithFewerGaps(source, gaps))),
    );
    out.write('}');
  };
  return { data };
}

/** Without what `status/ledger` tells: this page is asked for all the time. */
function withFewerGaps(journal: JournalStatus, gapsMax: number): JournalStatus {
  const { jobs, windows, trail, balance, collisions } = emptyLedger();
  const ledger = { ...journal.ledger, jobs, windows, trail, balance, collisions };
  if (ledger.gaps.length > gapsMax) ledger.gaps = gapsMax === 0 ? [] : ledger.gaps.slice(-gapsMax);
  return { ...journal, ledger };
}

function sourceWithFewerGaps(source: SourceStatus, gapsMax: number): SourceStatus {
  const journals = source.journals.map((journal) => withFewerGaps(journal, gapsMax));
  const report = source.report && reportWithFewerGaps(source.report, gapsMax);
  return { ...source, journals, report };
}

function reportWithFewerGaps(report: HierarchyStatus, gapsMax: number): HierarchyStatus {
  const journal = report.journal && withFewerGaps(report.journal, gapsMax);
  const sources = report.sources.map((source) => sourceWithFewerGaps(source, gapsMax));
  return { ...report, journal, sources };
}

export function config({ options }: Call): Answer {
  return plain({ yaml: options.configText() });
}

export function flags({ options }: Call): Answer {
  return plain(options.flags());
}

export function buildInfo({ options }: Call): Answer {
  return plain({
    version: options.prometheusVersion,
    revision: '',
    branch: '',
    buildUser: '',
    buildDate: '',
    goVersion: '',
    canopyVersion: options.version,
    nodeVersion: process.version,
  });
}

/** Go's knobs have no meaning here and stand empty. */
export function runtimeInfo({ options }: Call): Answer {
  const { startTime } = options.hierarchy();
  const given = options.flags();
  const config = options.configState?.();
  const started = new Date(startTime).toISOString();
  return plain({
    startTime: started,
    CWD: process.cwd(),
    hostname: hostname(),
    serverTime: new Date(options.clock.now()).toISOString(),
    reloadConfigSuccess: config?.successful ?? true,
    lastConfigTime: new Date(config?.successTime ?? startTime).toISOString(),
    corruptionCount: 0,
    goroutineCount: 0,
    GOMAXPROCS: availableParallelism(),
    GOMEMLIMIT: 0,
    GOGC: '',
    GODEBUG: '',
    storageRetention: given['retention.raw'] ?? given['journal.retention'] ?? '',
  });
}

/** Recovery has no segments to count: it is under way or done. What it does is told by `/-/ready`. */
export function walReplay({ options }: Call): Answer {
  return plain({ min: 0, max: 1, current: options.ready().ready ? 1 : 0 });
}

/** Series looked at for the counts; the rest is left out with a warning. */
const TSDB_SERIES_MAX = 500_000;
/** Series counted between two yields. */
const TSDB_RUN = 5000;
const TOP_DEFAULT = 10;
const TOP_MAX = 10_000;

/** Cardinality of all series held, counted label by label. */
export async function tsdb(call: Call): Promise<Answer> {
  const top = readTop(call);
  const { options, signal } = call;
  const snapshot = options.queryable.snapshot();
  let labelSets: Labels[];
  try {
    const named = [makeMatcher(METRIC_NAME, '!=', '')];
    labelSets = await snapshot.series([named], { minTime: MIN_TIME, maxTime: MAX_TIME });
  } finally {
    snapshot.release();
  }
  const counted = Math.min(labelSets.length, TSDB_SERIES_MAX);
  const counts = new Cardinality();
  for (let i = 0; i < counted; i++) {
    counts.add(labelSets[i]);
    if (i % TSDB_RUN === TSDB_RUN - 1) {
      await letOthersRun();
      signal.throwIfAborted();
    }
  }
  const numSeries = labelSets.length;
  const labelPairs = counts.labelPairs;
  const headStats = { numSeries, numLabelPairs: labelPairs, chunkCount: 0, minTime: 0, maxTime: 0 };
  const warnings =
    counted < numSeries ? [`labels are counted over ${counted} of ${numSeries} series`] : [];
  return { ...plain({ headStats, ...counts.top(top) }), warnings };
}

function readTop({ params }: Call): number {
  const text = params.text('limit');
  if (text === '') return TOP_DEFAULT;
  const top = Number(text);
  if (!Number.isInteger(top) || top < 1) {
    throw invalidParameter('limit', 'limit must be a positive number');
  }
  if (top > TOP_MAX) throw invalidParameter('limit', `limit must not exceed ${TOP_MAX}`);
  return top;
}

interface NamedCount {
  readonly name: string;
  readonly value: number;
}

class Cardinality {
  /** Label name → value → series. */
  readonly #byLabel = new Map<string, Map<string, number>>();

  add(labels: Labels): void {
    for (let i = 0; i < labels.length; i += 2) {
      const name = labels[i];
      const value = labels[i + 1];
      let values = this.#byLabel.get(name);
      if (values === undefined) this.#byLabel.set(name, (values = new Map()));
      values.set(value, (values.get(value) ?? 0) + 1);
    }
  }

  get labelPairs(): number {
    let pairs = 0;
    for (const values of this.#byLabel.values()) pairs += values.size;
    return pairs;
  }

  top(count: number): Record<string, NamedCount[]> {
    const pairs: Array<[string, number]> = [];
    const valueCounts: Array<[string, number]> = [];
    const bytes: Array<[string, number]> = [];
    for (const [name, values] of this.#byLabel) {
      valueCounts.push([name, values.size]);
      let nameBytes = 0;
      for (const [value, series] of values) {
        nameBytes += value.length * series;
        pairs.push([`${name}=${value}`, series]);
      }
      bytes.push([name, nameBytes]);
    }
    return {
      seriesCountByMetricName: largest(this.#byLabel.get(METRIC_NAME) ?? [], count),
      labelValueCountByLabelName: largest(valueCounts, count),
      memoryInBytesByLabelName: largest(bytes, count),
      seriesCountByLabelValuePair: largest(pairs, count),
    };
  }
}

/** The `count` largest, without sorting all: candidates are cut back whenever they are too many. */
function largest(entries: Iterable<readonly [string, number]>, count: number): NamedCount[] {
  let kept: NamedCount[] = [];
  const order = (a: NamedCount, b: NamedCount): number =>
    b.value - a.value || compareUtf8(a.name, b.name);
  for (const [name, value] of entries) {
    kept.push({ name, value });
    if (kept.length >= 2 * count + 100) kept = kept.sort(order).slice(0, count);
  }
  return kept.sort(order).slice(0, count);
}
