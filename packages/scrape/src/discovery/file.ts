import type { Clock } from '@canopy/model';
import type { FileSdConfig, TargetGroup } from '../config.js';
import type { Discovery, DiscoveryReport, DiscoveryRun } from './discovery.js';

/** Lists in JSON or YAML files. */
export class FileDiscovery implements Discovery {
  constructor(_config: FileSdConfig, _clock: Clock, _report: DiscoveryReport) {}
  start(_onGroups: (groups: readonly TargetGroup[]) => void): DiscoveryRun {
    return { stop: () => {} };
  }
}
