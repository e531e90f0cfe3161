/** Engine settings behind the expectations of Prometheus's test scripts. */
import { asDuration } from '@canopy/model';
import { Engine, type EngineFeatures, type EngineOptions } from '../engine.js';
import { testClock } from './clock.js';

export const NO_FEATURES: EngineFeatures = {
  experimentalFunctions: false,
  fillModifiers: false,
  extendedRangeSelectors: false,
  delayedNameRemoval: false,
  typeAndUnitLabels: false,
  startTimestamps: false,
  perStepStats: false,
};
export const ALL_FEATURES: EngineFeatures = {
  experimentalFunctions: true,
  fillModifiers: true,
  extendedRangeSelectors: true,
  delayedNameRemoval: true,
  typeAndUnitLabels: true,
  startTimestamps: true,
  perStepStats: true,
};

export function testEngine(
  queryable: EngineOptions['queryable'],
  changes: Partial<EngineOptions> = {},
): Engine {
  return new Engine({
    queryable,
    clock: testClock,
    lookback: asDuration(300_000),
    timeout: asDuration(60_000),
    maxSamples: 50_000_000,
    maxRead: 100_000_000,
    maxConcurrency: 20,
    features: NO_FEATURES,
    yieldEveryMs: 10,
    defaultSubqueryStep: asDuration(60_000),
    ...changes,
  });
}
