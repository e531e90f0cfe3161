/**
 * rate, increase, irate and resets of samples that say when their count began (Prometheus's
 * `use-start-timestamps`): a counter that began anew is seen where its value did not fall, and one
 * that began within the window was zero then.
 */
import type { RangeCall, RangeKernel } from './range-kernel.js';

/** Whether sample `i` counts from anew; OpenTelemetry's way to say "start unknown" is none. */
function beginsAnew({ times, startTimes }: RangeCall, i: number): boolean {
  const start = startTimes[i];
  const before = times[i - 1];
  if (start === 0 || start >= times[i] || start < before) return false;
  if (start > before) return true;
  // A delta follows on the sample before; what first has no start of its own does not.
  return startTimes[i - 1] !== 0 && startTimes[i - 1] < before;
}

const isReset = (call: RangeCall, i: number): boolean =>
  call.values[i] < call.values[i - 1] || beginsAnew(call, i);

function overlaps({ times, startTimes }: RangeCall, i: number): boolean {
  const start = startTimes[i];
  return start !== 0 && start < times[i - 1] && start !== startTimes[i - 1];
}

/** As without start times, but from zero at the first sample's start where that is in the window. */
function extrapolated(perSecond: boolean): RangeKernel {
  return (call) => {
    const { times, values, startTimes, lo, hi, rangeMs, refs } = call;
    for (let k = 0; k < call.steps; k++) {
      const first = lo[k];
      const last = hi[k] - 1;
      const rangeEnd = refs.start + k * refs.step;
      const rangeStart = rangeEnd - rangeMs;
      const start = startTimes[first];
      const isFromZero = last >= first && start > rangeStart && start < times[first];
      if (last < first || (last === first && !isFromZero)) continue;
      let change = values[last] - (isFromZero ? 0 : values[first]);
      for (let i = first + 1; i <= last; i++) {
        if (isReset(call, i)) change += values[i - 1];
        if (overlaps(call, i)) call.startsOverlap = true;
      }
      const sampled = (times[last] - (isFromZero ? start : times[first])) / 1000;
      const average = last > first ? (times[last] - times[first]) / 1000 / (last - first) : 0;
      const threshold = average * 1.1;
      let toStart = isFromZero ? 0 : (times[first] - rangeStart) / 1000;
      if (toStart >= threshold) toStart = average / 2;
      if (!isFromZero && change > 0 && values[first] >= 0) {
        toStart = Math.min(toStart, sampled * (values[first] / change));
      }
      let toEnd = (rangeEnd - times[last]) / 1000;
      if (toEnd >= threshold) toEnd = average / 2;
      let factor = (sampled + toStart + toEnd) / sampled;
      if (perSecond) factor /= rangeMs / 1000;
      call.put(k, change * factor);
    }
  };
}

function instantRate(call: RangeCall): void {
  const { times, values, lo, hi } = call;
  for (let k = 0; k < call.steps; k++) {
    const last = hi[k] - 1;
    if (last <= lo[k]) continue;
    const change = isReset(call, last) ? values[last] : values[last] - values[last - 1];
    call.put(k, change / ((times[last] - times[last - 1]) / 1000));
    if (overlaps(call, last)) call.startsOverlap = true;
  }
}

function resets(call: RangeCall): void {
  const { lo, hi } = call;
  for (let k = 0; k < call.steps; k++) {
    if (hi[k] <= lo[k]) continue;
    let count = 0;
    for (let i = lo[k] + 1; i < hi[k]; i++) if (isReset(call, i)) count++;
    call.put(k, count);
  }
}

export const START_TIMES_KERNELS: Readonly<Record<string, RangeKernel>> = {
  rate: extrapolated(true),
  increase: extrapolated(false),
  irate: instantRate,
  resets,
};
