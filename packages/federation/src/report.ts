/**
 * What a source says of itself, as far as it can be used: others' status pages show it, so its parts must be what they
 * are taken for. Fields that are not known stay; simple ones may be missing (an earlier version).
 */
import type { HierarchyStatus } from '@canopy/model';

/** Levels of a hierarchy. */
const DEPTH_MAX = 32;

type Shape = '' | 0 | true | { readonly [key: string]: Shape } | readonly [Shape];

const POSITION: Shape = { epoch: 0, sequence: 0 };
const GAP: Shape = { group: 0, from: 0, to: 0, cause: '', frames: 0 };
const JOURNAL: Shape = {
  ref: '',
  position: POSITION,
  trimmed: POSITION,
  lagSeconds: 0,
  entryBytes: 0,
  ledger: { frames: 0, samples: 0, bytes: 0, gaps: [GAP], gapsTotal: 0, watermark: 0 },
};
const SOURCE: Shape = {
  ...{ name: '', url: '', health: '', lastError: '', kind: '', journals: [JOURNAL] },
  ...{ mayBeAwaySeconds: 0, hopLagSeconds: 0, behindBytes: 0 },
};
const REPORT: Shape = {
  ...{ role: '', name: '', url: '', version: '', startTime: 0 },
  targets: { up: 0, down: 0, unknown: 0 },
  ...{ activeSeries: 0, samplesPerSecond: 0, notices: [''] },
  store: { kind: '', usedBytes: 0, limitBytes: 0, healthy: true, message: '' },
  sources: [SOURCE],
};

/** Whether a parsed report, and those of the levels below it, are what they should be. */
export function isReport(value: unknown, depth = 1): value is HierarchyStatus {
  if (depth > DEPTH_MAX || !fits(value, REPORT)) return false;
  const { journal, sources } = value as HierarchyStatus;
  if (journal !== undefined && !fits(journal, JOURNAL)) return false;
  return sources.every(({ report }) => report === undefined || isReport(report, depth + 1));
}

function fits(value: unknown, shape: Shape): boolean {
  // JSON has no infinity.
  if (shape === 0 && value === null) return true;
  if (typeof shape !== 'object') return typeof value === typeof shape;
  if (Array.isArray(shape)) {
    return Array.isArray(value) && value.every((one) => fits(one, shape[0] as Shape));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const fields = value as Record<string, unknown>;
  return Object.entries(shape as Record<string, Shape>).every(([name, part]) =>
    fields[name] === undefined ? typeof part !== 'object' : fits(fields[name], part),
  );
}
