/** The query engine as the flags want it. */
import { type Clock, type DurationMs, type Queryable } from '@canopy/model';
import { type ActiveQueries, Engine } from '@canopy/promql';
import type { Settings } from '../cli/settings.js';

const YIELD_EVERY_MS = 10;
/**
 * What is read is held whole, at 9 bytes; a sample that Prometheus holds takes 16. An instant query
 * reads its lookback, of which it holds one sample.
 */
const READ_A_SAMPLE = 2;
const READ_MIN = 10_000_000;
const SUBQUERY_STEP = 60_000 as DurationMs;

export function makeEngine(
  settings: Settings,
  queryable: Queryable,
  clock: Clock,
  activeQueries: ActiveQueries | undefined,
): Engine {
  const { features } = settings;
  return new Engine({
    queryable,
    clock,
    lookback: settings.lookback,
    timeout: settings.queryTimeout,
    maxSamples: settings.queryMaxSamples,
    maxRead: Math.max(READ_MIN, READ_A_SAMPLE * settings.queryMaxSamples),
    maxConcurrency: settings.queryMaxConcurrency,
    features: {
      experimentalFunctions: features.has('promql-experimental-functions'),
      fillModifiers: features.has('promql-binop-fill-modifiers'),
      extendedRangeSelectors: features.has('promql-extended-range-selectors'),
      delayedNameRemoval: features.has('promql-delayed-name-removal'),
      typeAndUnitLabels: features.has('type-and-unit-labels'),
      startTimestamps: features.has('use-start-timestamps'),
      perStepStats: features.has('promql-per-step-stats'),
    },
    yieldEveryMs: YIELD_EVERY_MS,
    defaultSubqueryStep: SUBQUERY_STEP,
    ...(activeQueries && { activeQueries }),
  });
}
