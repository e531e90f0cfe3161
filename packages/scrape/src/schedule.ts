/**
 * When a target is scraped: at `offset` in every interval of the wall clock, without drift.
 */
import { type DurationMs, type Milliseconds, asDuration, asTime } from '@canopy/model';

/** Timers may fire this much too early or too late and still mean their tick (Prometheus's 2 ms). Milliseconds. */
export const TICK_TOLERANCE = 2;

/** The first tick after `time`, and not the one that a timer firing early stands for. */
export function nextTick(time: Milliseconds, interval: DurationMs, offset: number): Milliseconds {
  const after = time + TICK_TOLERANCE;
  return asTime((Math.floor((after - offset) / interval) + 1) * interval + offset);
}

/** Ticks that came while a scrape ran which ended `sinceTick` milliseconds after its own. */
export function ticksPassed(sinceTick: number, interval: DurationMs): number {
  return Math.floor((sinceTick + TICK_TOLERANCE) / interval);
}

/** Whether a scrape at `now` is as good as at its tick: then it gets the tick's time. */
export function isPunctual(now: Milliseconds, tick: Milliseconds, interval: DurationMs): boolean {
  return Math.abs(now - tick) <= Math.min(TICK_TOLERANCE, interval / 100);
}

/** Targets are asked in groups this far apart. Milliseconds. */
const GRID_MS = 250;
/** The least number of groups in an interval. */
const GROUPS_MIN = 10;

/**
 * Offsets are multiples of this, milliseconds: a process that wakes up for each target by itself pays
 * more for waking (cold caches, timers, a commit) than for the scrape.
 */
export function offsetGrid(interval: DurationMs): number {
  return Math.max(1, Math.min(GRID_MS, Math.floor(interval / GROUPS_MIN)));
}

/** How long a scrape may go on asking for more, so that the next one is on time. */
export function catchUpBudget(interval: DurationMs): DurationMs {
  return asDuration(interval * 0.9);
}

/**
 * When the series of a removed target end: just before its next tick, or before the first frame of
 * another loop that goes on with the same labels (`replacedAt`), so that there is no hole between them.
 */
export function endTime(
  tick: Milliseconds,
  lastTime: Milliseconds,
  replacedAt: Milliseconds | undefined,
): Milliseconds {
  const replaced = replacedAt !== undefined && replacedAt > lastTime && replacedAt < tick;
  const next = replaced ? replacedAt : tick;
  return asTime(Math.max(lastTime + 1, next - 1));
}
