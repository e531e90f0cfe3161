import { type Clock, type Milliseconds, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { Head } from '../head.js';
import { TileStore } from './tile-store.js';

/** A head at `now` with a window of an hour and tiles of eight frames, whose closed tiles go nowhere. */
export function smallHead(
  now: number,
  { monotonic }: Partial<Pick<Clock, 'monotonic'>> = {},
): Head {
  const clock = new VirtualClock(now as Milliseconds);
  if (monotonic !== undefined) clock.monotonic = monotonic;
  return new Head({
    clock,
    windowMs: asDuration(3_600_000),
    tileFrames: 8,
    outOfOrderWindow: asDuration(10_000),
    onTileClosed: () => undefined,
    tileSource: new TileStore(),
    maxSeries: 1000,
  });
}
