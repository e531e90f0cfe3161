/** What is scraped, and the lists that stay empty until rules and alerts exist. */
import {
  CanopyError,
  type DroppedTarget,
  type TargetStatus,
  compareUtf8,
  formatDuration,
} from '@canopy/model';
import { type Answer, plain } from './answer.js';
import type { Call } from './call.js';
import { type JsonOutput, labelsJson, writeArray } from './json-output.js';
import { invalidParameter } from './params.js';

/** Go's zero time: "not yet". */
export const NEVER = '0001-01-01T00:00:00Z';

export function targets({ params, options }: Call): Answer {
  const state = params.text('state').toLowerCase();
  const pool = params.text('scrapePool');
  const any = state === '' || state === 'any';
  const wanted = (target: { readonly scrapePool: string }): boolean =>
    pool === '' || target.scrapePool === pool;
  const active = any || state === 'active' ? byPool(options.targets.active()).filter(wanted) : [];
  const dropped =
    any || state === 'dropped' ? byPool(options.targets.dropped()).filter(wanted) : [];
  const data = async (out: JsonOutput): Promise<void> => {
    out.write('{"activeTargets":');
    await writeArray(out, active, (target) => out.write(activeJson(target)));
    out.write(',"droppedTargets":');
    await writeArray(out, dropped, (target) => out.write(droppedJson(target)));
    out.write(`,"droppedTargetCounts":${JSON.stringify(countByPool(dropped))}}`);
  };
  return { data };
}

function byPool<T extends { readonly scrapePool: string }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => compareUtf8(a.scrapePool, b.scrapePool));
}

function activeJson(target: TargetStatus): string {
  const { lastScrape } = target;
  const rest = JSON.stringify({
    scrapePool: target.scrapePool,
    scrapeUrl: target.scrapeUrl,
    globalUrl: target.scrapeUrl,
    lastError: target.lastError,
    lastScrape: lastScrape === undefined ? NEVER : new Date(lastScrape).toISOString(),
    lastScrapeDuration: target.lastScrapeDuration / 1000,
    health: target.health,
    scrapeInterval: formatDuration(target.scrapeInterval),
    scrapeTimeout: formatDuration(target.scrapeTimeout),
  });
  const discovered = labelsJson(target.discoveredLabels);
  return `{"discoveredLabels":${discovered},"labels":${labelsJson(target.labels)},${rest.slice(1)}`;
}

function droppedJson(target: DroppedTarget): string {
  const pool = JSON.stringify(target.scrapePool);
  return `{"discoveredLabels":${labelsJson(target.discoveredLabels)},"scrapePool":${pool}}`;
}

function countByPool(list: readonly DroppedTarget[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { scrapePool } of list) counts.set(scrapePool, (counts.get(scrapePool) ?? 0) + 1);
  return Object.fromEntries(counts);
}

export function scrapePools({ options }: Call): Answer {
  const pools = new Set<string>();
  for (const target of options.targets.active()) pools.add(target.scrapePool);
  for (const target of options.targets.dropped()) pools.add(target.scrapePool);
  return plain({ scrapePools: [...pools].sort(compareUtf8) });
}

/** No rules are evaluated yet: the filters are checked, the list is empty. */
export function rules({ params }: Call): Answer {
  const type = params.text('type').toLowerCase();
  if (type !== '' && type !== 'alert' && type !== 'record') {
    throw invalidParameter('type', `not supported value ${JSON.stringify(type)}`);
  }
  if (params.text('group_next_token') !== '') {
    throw new CanopyError('bad_data', 'invalid group_next_token: there is no such group');
  }
  return plain({ groups: [] });
}

export function alerts(): Answer {
  return plain({ alerts: [] });
}

export function alertmanagers(): Answer {
  return plain({ activeAlertmanagers: [], droppedAlertmanagers: [] });
}
