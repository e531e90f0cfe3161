/** Engine settings behind the expectations of Prometheus's test scripts. */
import { asDuration } from '@canopy/model';
import { Engine, type EngineOptions } from '../engine.js';
import { testClock } from './clock.js';

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
    maxConcurrency: 20,
    experimentalFunctions: false,
    yieldEveryMs: 10,
    defaultSubqueryStep: asDuration(60_000),
    ...changes,
  });
}
