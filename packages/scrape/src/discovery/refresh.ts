/**
 * A source that is asked anew after each interval and keeps its last good list when it fails.
 */
import { type Clock, type DurationMs, type Timer, errorText } from '@canopy/model';
import type { TargetGroup } from '../config.js';
import type { Discovery, DiscoveryReport, DiscoveryRun } from './discovery.js';

export interface RefreshOptions {
  readonly clock: Clock;
  readonly interval: DurationMs;
  readonly report: DiscoveryReport;
  /** What `report` says when `look` fails. */
  readonly failure: string;
  /** For the log. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The complete list; bounded in time by itself. Rejects where the list of before is to be kept. */
  look(signal: AbortSignal): Promise<readonly TargetGroup[]>;
}

export class RefreshDiscovery implements Discovery {
  readonly #options: RefreshOptions;

  constructor(options: RefreshOptions) {
    this.#options = options;
  }

  start(onGroups: (groups: readonly TargetGroup[]) => void): DiscoveryRun {
    const { clock, interval, report, failure, fields, look } = this.#options;
    const stopping = new AbortController();
    const { signal } = stopping;
    let timer: Timer | undefined;
    let last: string | undefined;
    const refresh = async (): Promise<void> => {
      const began = clock.monotonic();
      try {
        const groups = await look(signal);
        const summary = JSON.stringify(groups);
        if (!signal.aborted && summary !== last) {
          last = summary;
          onGroups(groups);
        }
      } catch (error) {
        if (!signal.aborted) report(failure, { ...fields, error: errorText(error) });
      }
      if (signal.aborted) return;
      // From start to start, as Prometheus's ticker; a slow source is asked at once again.
      const left = Math.max(0, interval - (clock.monotonic() - began));
      timer = clock.after(left as DurationMs, () => void refresh());
    };
    void refresh();
    return {
      stop: () => {
        timer?.cancel();
        stopping.abort(new Error('discovery has stopped'));
      },
    };
  }
}
