import {
  type HierarchyStatus,
  type QueryResult,
  type Queryable,
  type Snapshot,
  asDuration,
  asTime,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { NO_STATS } from '@canopy/promql';
import type { WebOptions } from '../options.js';

const NOTHING: QueryResult = {
  value: { type: 'vector', samples: [] },
  warnings: [],
  infos: [],
  stats: NO_STATS,
};

const emptySnapshot: Snapshot = {
  select: async () => [],
  series: async () => [],
  labelNames: async () => [],
  labelValues: async () => [],
  release: () => undefined,
};

const emptyQueryable: Queryable = { snapshot: () => emptySnapshot, metadata: () => new Map() };

/** The status of a parent that pulls nothing. */
export function fakeStatus(given: Partial<HierarchyStatus> = {}): HierarchyStatus {
  return {
    role: 'parent',
    name: 'parent',
    url: 'http://127.0.0.1:9090',
    version: '0.0.0',
    startTime: asTime(1_700_000_000_000),
    targets: { up: 0, down: 0, unknown: 0 },
    activeSeries: 0,
    samplesPerSecond: 0,
    journal: undefined,
    store: { kind: 'embedded', usedBytes: 0, limitBytes: 0, healthy: true, message: '' },
    sources: [],
    notices: [],
    ...given,
  };
}

/** Options of a ready parent that knows nothing; `given` takes the place of any of them. */
export function fakeOptions(given: Partial<WebOptions> = {}): WebOptions {
  return {
    role: 'parent',
    clock: new VirtualClock(),
    version: '0.0.0',
    prometheusVersion: '3.0.0',
    engine: { instant: async () => NOTHING, range: async () => NOTHING },
    queryable: emptyQueryable,
    complete: async () => ({ upTo: asTime(Number.MAX_SAFE_INTEGER), warnings: [] }),
    completeByDefault: false,
    origins: async () => [],
    pathOf: () => [],
    targets: { active: () => [], dropped: () => [] },
    hierarchy: () => fakeStatus(),
    configText: () => 'global: {}\n',
    flags: () => ({}),
    ready: () => ({ ready: true, reason: '' }),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'x 1\n' }),
    federate: async (_req, res) => void res.end('# federated\n'),
    register: null,
    remoteWrite: null,
    log: () => undefined,
    bodyBytesMax: 1024 * 1024,
    lookback: asDuration(300_000),
    corsOrigin: () => true,
    ...given,
  };
}
