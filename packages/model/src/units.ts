/**
 * Units carried by the type system at the borders of packages; kernels take plain numbers.
 */
import { CanopyError } from './errors.js';

declare const unit: unique symbol;

/** A point in time: integer milliseconds since the Unix epoch, held as a double. */
export type Milliseconds = number & { readonly [unit]: 'ms since epoch' };
/** A length of time in milliseconds. */
export type DurationMs = number & { readonly [unit]: 'ms' };

export const asTime = (ms: number): Milliseconds => ms as Milliseconds;
export const asDuration = (ms: number): DurationMs => ms as DurationMs;

const UNIT_MS: ReadonlyArray<readonly [suffix: string, ms: number]> = [
  ['y', 365 * 86_400_000],
  ['w', 7 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];
const DURATION = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** 2^63 ns: what a duration of Go can hold, some 292 years. */
const DURATION_MAX_MS = Math.floor(2 ** 63 / 1e6);

/**
 * Reads a duration in Prometheus's notation: `1h30m`, `15s`, `500ms`, `0`; units from large to
 * small, each at most once.
 * @throws CanopyError `bad_data` where the text is not one.
 */
export function parseDuration(text: string): DurationMs {
  if (text === '0') return 0 as DurationMs;
  const parts = text === '' ? null : DURATION.exec(text);
  if (parts === null) throw new CanopyError('bad_data', `not a valid duration string: "${text}"`);
  let total = 0;
  for (let i = 0; i < UNIT_MS.length; i++) total += Number(parts[i + 1] ?? 0) * UNIT_MS[i][1];
  if (total > DURATION_MAX_MS) {
    throw new CanopyError('bad_data', `duration out of range: "${text}"`);
  }
  return total as DurationMs;
}

/** Writes a duration as Prometheus does: `1h30m`, `15s`, `0s`; years, weeks and days only when exact. */
export function formatDuration(duration: DurationMs): string {
  if (duration === 0) return '0s';
  let rest = duration as number;
  let text = '';
  for (const [suffix, ms] of UNIT_MS) {
    const exactOnly = suffix === 'y' || suffix === 'w' || suffix === 'd';
    if (exactOnly && rest % ms !== 0) continue;
    const count = Math.floor(rest / ms);
    if (count > 0) {
      text += `${count}${suffix}`;
      rest -= count * ms;
    }
  }
  return text;
}

const SIZE = /^(\d+)(B|[KMGTPE]i?B|[KMGTPE])?$/;

/** Reads a size in Prometheus's notation (`512MB`, `8GiB`; all powers of 1024). In bytes. */
export function parseBytes(text: string): number {
  const parts = SIZE.exec(text);
  if (parts === null) throw new CanopyError('bad_data', `not a valid size: "${text}"`);
  const power = parts[2] === undefined ? 0 : 'BKMGTPE'.indexOf(parts[2][0]);
  return Number(parts[1]) * 1024 ** power;
}

/** `1536` → `1.5KiB`; for people, not to be read back. */
export function formatBytes(bytes: number): string {
  const power = Math.min(6, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${Number(value.toFixed(1))}${['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'][power]}`;
}
