/**
 * Port: where targets come from. Implemented here for lists in the configuration and in files;
 * `canopy` brings one for leaves that announce themselves.
 */
import type { TargetGroup } from '../config.js';

export interface Discovery {
  /**
   * Starts looking. `onGroups` gets the complete list each time it changes (the first time soon after the
   * start, perhaps during it), and nothing after `stop`. A source that fails for a while keeps
   * its last good list.
   */
  start(onGroups: (groups: readonly TargetGroup[]) => void): DiscoveryRun;
}

export interface DiscoveryRun {
  /** No callbacks after it has returned. */
  stop(): void;
}

/** What goes wrong meanwhile, for the log. */
export type DiscoveryReport = (message: string, fields: Readonly<Record<string, unknown>>) => void;
