/** A head over a store in memory, and what it shows as short texts: for tests of the head alone. */
import {
  type JournalRef,
  type SelectedSeries,
  type Snapshot,
  asDuration,
  asTime,
  formatLabels,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { Head } from '../head.js';
import type { HeadOptions } from '../options.js';
import { TileStore } from './tile-store.js';

export const START = 1_700_000_000_000;
/** All times. */
export const EVER = { minTime: asTime(0), maxTime: asTime(8.64e15) };

/** A window of a minute, ten seconds for late samples, tiles of eight frames that go to a map. */
export function headRig(options: Partial<HeadOptions> = {}, store = new TileStore()) {
  const clock = new VirtualClock(START);
  const closed: JournalRef[] = [];
  const head: Head = new Head({
    clock,
    windowMs: asDuration(60_000),
    tileFrames: 8,
    outOfOrderWindow: asDuration(10_000),
    onTileClosed: (ref, tile) => {
      closed.push(ref);
      store.put(ref, tile);
    },
    tileSource: store,
    maxSeries: 1000,
    ...options,
  });
  return { head, clock, store, closed };
}

/** `name{labels} t:v t:v …`, times in seconds from START, `s` for a stale mark. */
export function show(selected: readonly SelectedSeries[]): string[] {
  return selected
    .map(({ labels, times, values, states, from, to }) => {
      const samples: string[] = [];
      for (let i = from; i < to; i++) {
        const state = states === null ? 1 : states[i];
        if (state === 0) continue;
        samples.push(`${(times[i] - START) / 1000}:${state === 2 ? 's' : values[i]}`);
      }
      return `${formatLabels(labels)} ${samples.join(' ')}`;
    })
    .sort();
}

/** What a snapshot shows of all series; it is released. */
export async function all(head: Head, snapshot: Snapshot = head.snapshot(), range = EVER) {
  const selected = show(await snapshot.select([], range));
  snapshot.release();
  return selected;
}

/** So many seconds after START. */
export const at = (seconds: number): number => START + seconds * 1000;
