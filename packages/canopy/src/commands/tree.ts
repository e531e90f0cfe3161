/**
 * `canopy tree`: prints a process and all below it: state, targets, series, lag, gaps.
 */
import type { Writable } from 'node:stream';
import {
  CanopyError,
  type GapRecord,
  type HierarchyStatus,
  type JournalStatus,
  type SourceStatus,
  errorText,
  formatBytes,
} from '@canopy/model';
import { askApi, printable, table } from './query.js';

const GAPS_SHOWN = 10;
const TARGETS_SHOWN = 200;
const NOT_KNOWN = '-';

export interface TreeCommand {
  readonly url: string;
  readonly httpConfigFile?: string;
  readonly stdout: Writable;
  readonly stderr?: Writable;
}

interface ApiTarget {
  readonly scrapePool: string;
  readonly scrapeUrl: string;
  readonly health: string;
  readonly lastError: string;
}

/** @returns 0 with an answer, 1 without. */
export async function runTree(command: TreeCommand): Promise<number> {
  const { url, httpConfigFile, stdout, stderr = process.stderr } = command;
  try {
    const gaps = { gaps: String(GAPS_SHOWN) };
    const hierarchy = await askApi<HierarchyStatus>(url, 'status/hierarchy', gaps, httpConfigFile);
    const active = { state: 'active' };
    const targets = await askApi<{ activeTargets: ApiTarget[] }>(
      url,
      'targets',
      active,
      httpConfigFile,
    );
    stdout.write(treeText(hierarchy.data, targets.data.activeTargets));
    return 0;
  } catch (error) {
    const foreign = error instanceof CanopyError && error.code === 'not_found';
    const hint = foreign ? '; is it a Canopy process?' : '';
    stderr.write(`canopy: ${printable(errorText(error))}${hint}\n`);
    return 1;
  }
}

const HEAD =
  'PROCESS,STATE,TARGETS,SERIES,SAMPLES/S,LAG,GAPS,HOP,BEHIND,CLOCK,MAY BE AWAY,URL'.split(',');
const RIGHT = new Set([2, 3, 4, 5, 6, 7, 8, 9, 10]);

function treeText(status: HierarchyStatus, targets: readonly ApiTarget[]): string {
  const own = journalCells(status.journal === undefined ? [] : [status.journal]);
  const rows: string[][] = [
    HEAD,
    [status.name, status.role, ...reportCells(status), ...own, ...NO_HOP, status.url],
  ];
  addSources(status, '', rows);
  const sections = [table(rows, RIGHT), storeText(status)];
  if (targets.length > 0) sections.push(targetsText(status.name, targets));
  sections.push(gapsText(status));
  if (status.notices.length > 0) {
    sections.push(status.notices.map((text) => `note: ${printable(text)}\n`).join(''));
  }
  return sections.join('\n');
}

function addSources(status: HierarchyStatus, indent: string, rows: string[][]): void {
  status.sources.forEach((source, index) => {
    const last = index === status.sources.length - 1;
    rows.push([
      `${indent}${last ? '└─ ' : '├─ '}${source.name}${source.kind === 'foreign' ? ' (foreign)' : ''}`,
      source.health,
      ...reportCells(source.report),
      ...journalCells(source.journals),
      ...hopCells(source),
      source.url + (source.lastError === '' ? '' : `  ${source.lastError}`),
    ]);
    if (source.report) addSources(source.report, `${indent}${last ? '   ' : '│  '}`, rows);
  });
}

/** Targets, series, samples a second. */
function reportCells(report: HierarchyStatus | undefined): string[] {
  if (report === undefined) return [NOT_KNOWN, NOT_KNOWN, NOT_KNOWN];
  const { up, down, unknown } = report.targets;
  return [
    `${up}/${up + down + unknown} up`,
    String(report.activeSeries),
    report.samplesPerSecond.toFixed(report.samplesPerSecond < 10 ? 1 : 0),
  ];
}

/** Of the way from a source: its own part of the lag, bytes to come, how the clocks differ, time left. */
function hopCells(source: SourceStatus): string[] {
  const { hopLagSeconds: hop, behindBytes, clockSkew, mayBeAwaySeconds: away } = source;
  return [
    hop === undefined || hop < 0 ? NOT_KNOWN : formatSeconds(hop),
    behindBytes === undefined || behindBytes < 0 ? NOT_KNOWN : formatBytes(behindBytes),
    clockSkew === undefined ? NOT_KNOWN : formatSkew(clockSkew.seconds),
    away < 0 ? NOT_KNOWN : formatSeconds(away),
  ];
}

const NO_HOP = [NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN];

function formatSkew(seconds: number): string {
  return `${seconds < 0 ? '-' : '+'}${formatSeconds(Math.abs(seconds))}`;
}

/** Lag of the journal furthest behind, and gaps of all. */
function journalCells(journals: readonly JournalStatus[]): string[] {
  const known = journals.filter(({ ledger }) => ledger.watermark > 0);
  const lag = known.reduce((most, { lagSeconds }) => Math.max(most, lagSeconds), 0);
  const gaps = journals.reduce((sum, { ledger }) => sum + ledger.gapsTotal, 0);
  return [known.length === 0 ? NOT_KNOWN : formatSeconds(lag), String(gaps)];
}

function storeText({ store }: HierarchyStatus): string {
  const limit = store.limitBytes > 0 ? ` of ${formatBytes(store.limitBytes)}` : '';
  const health = store.healthy ? '' : `, not healthy: ${printable(store.message)}`;
  return `store: ${printable(store.kind)}, ${formatBytes(store.usedBytes)}${limit}${health}\n`;
}

function targetsText(name: string, targets: readonly ApiTarget[]): string {
  const rows = [[`TARGETS OF ${name}`, 'STATE', 'URL', 'ERROR']];
  for (const target of targets.slice(0, TARGETS_SHOWN)) {
    rows.push([target.scrapePool, target.health, target.scrapeUrl, target.lastError]);
  }
  const left = targets.length - TARGETS_SHOWN;
  return table(rows, new Set()) + (left > 0 ? `and ${left} more\n` : '');
}

function gapsText(status: HierarchyStatus): string {
  const gaps: Array<{ of: string; gap: GapRecord }> = [];
  const collect = (of: string, journals: readonly JournalStatus[]): void => {
    for (const { ledger } of journals) for (const gap of ledger.gaps) gaps.push({ of, gap });
  };
  collect(status.name, status.journal === undefined ? [] : [status.journal]);
  for (const { name, journals } of status.sources as SourceStatus[]) collect(name, journals);
  if (gaps.length === 0) return 'no gap is known\n';
  gaps.sort((a, b) => b.gap.to - a.gap.to);
  const rows = [['NEWEST GAPS', 'FROM', 'TO', 'LENGTH', 'CAUSE', 'FRAMES LOST']];
  for (const { of, gap } of gaps.slice(0, GAPS_SHOWN)) {
    rows.push([
      of,
      gap.from > 0 ? formatTime(gap.from) : 'the beginning',
      formatTime(gap.to),
      gap.from > 0 ? formatSeconds((gap.to - gap.from) / 1000) : NOT_KNOWN,
      gap.cause,
      gap.frames < 0 ? 'not known' : String(gap.frames),
    ]);
  }
  return table(rows, new Set([3, 5]));
}

function formatTime(ms: number): string {
  return ms > 0 ? new Date(ms).toISOString() : NOT_KNOWN;
}

const UNITS: ReadonlyArray<readonly [suffix: string, seconds: number]> = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
];

/** For people: `0.8s`, `42s`, `3m20s`, `2d4h`: at most two units. */
export function formatSeconds(seconds: number): string {
  if (!(seconds >= 10)) return `${Math.max(0, seconds).toFixed(1)}s`;
  const at = UNITS.findIndex(([, size]) => seconds >= size);
  const [suffix, size] = UNITS[at];
  const whole = Math.floor(seconds / size);
  const [nextSuffix, nextSize] = UNITS[at + 1] ?? ['', 1];
  const rest = nextSuffix === '' ? 0 : Math.floor((seconds - whole * size) / nextSize);
  return `${whole}${suffix}${rest > 0 ? `${rest}${nextSuffix}` : ''}`;
}
