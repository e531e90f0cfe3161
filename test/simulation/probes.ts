/** What a process answers in the middle of a run: a snapshot pinned at one moment, read while everything goes on. */
import { type JournalRef, journalIdOf } from '@canopy/model';
import { type Hierarchy, isFiltered } from './hierarchy.js';
import { type ReadSeries, readAll } from './level.js';
import type { Machine } from './machine.js';
import { Chance } from './random.js';

export interface Probe {
  readonly machine: Machine;
  /** Milliseconds of the run. */
  readonly at: number;
  readonly series: ReadonlyMap<string, ReadSeries>;
  /** By journal: complete up to here, as the process said when the snapshot was pinned. */
  readonly watermarks: ReadonlyMap<JournalRef, number>;
  readonly takes: (name: string) => boolean;
}

const PROBES = 4;

/** Asks at moments of the seed's choice; who dies meanwhile does not answer. */
export function planProbes(hierarchy: Hierarchy, probes: Probe[]): void {
  const { plan, site } = hierarchy;
  const chance = new Chance(plan.seed, 'probes');
  const readers = [...hierarchy.machines.values()];
  for (let i = 0; i < PROBES; i++) {
    const machine = chance.of(readers);
    site.time.at(chance.between(plan.activeMs / 4, plan.activeMs + 4000), () => {
      const { process } = machine;
      if (process === undefined || process.notReady !== '') return;
      const watermarks = new Map<JournalRef, number>();
      for (const { ref } of process.puller?.journals() ?? []) {
        const whole = journalIdOf(ref) as string as JournalRef;
        watermarks.set(whole, process.puller!.watermark(ref));
      }
      const at = site.time.now;
      const takes = machine.name === 'f' ? isFiltered : () => true;
      readAll(process.head).then(
        (series) => void probes.push({ machine, at, series, watermarks, takes }),
        // The store is away: the question fails.
        () => {},
      );
    });
  }
}
