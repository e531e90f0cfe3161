/**
 * What a process says of itself: put together from what its parts count, without waiting for any.
 */
import type { AnnouncerState, FramePuller, LeafRegistry } from '@canopy/federation';
import type { Head } from '@canopy/head';
import {
  type Clock,
  type GapRecord,
  type HierarchyStatus,
  type JournalId,
  type JournalRef,
  type JournalStatus,
  type SourceStatus,
  type TargetStatus,
  addGap,
  emptyLedger,
  journalIdOf,
  parseLedger,
} from '@canopy/model';
import type { JournalWriter } from '@canopy/store';
import type { Settings } from '../cli/settings.js';
import { VERSION } from '../version.js';
import type { Configuration } from './configuration.js';
import type { Rate } from './rate.js';
import type { StorePulse } from './store-pulse.js';
import type { Listening } from './world.js';

export interface StatusParts {
  readonly clock: Clock;
  readonly settings: Settings;
  readonly configuration: Configuration;
  readonly startTime: number;
  readonly head: Head;
  readonly pulse: StorePulse;
  readonly rate: Rate;
  targets(): readonly TargetStatus[];
  journal(): JournalWriter | undefined;
  readonly puller: FramePuller | undefined;
  /** Of a journal, beside those that the stored ledger names. */
  untoldGaps(ref: JournalRef): readonly GapRecord[];
  readonly registry: LeafRegistry | undefined;
  announcer(): AnnouncerState | undefined;
  listening(): Listening | undefined;
  /** What people should know of the process as a whole; '' for nothing. */
  remark(): string;
}

export function hierarchyStatus(parts: StatusParts): HierarchyStatus {
  const { settings, pulse } = parts;
  const targets = parts.targets();
  const count = (health: string) => targets.filter((target) => target.health === health).length;
  return {
    role: settings.role,
    name: settings.name,
    url: settings.externalUrl,
    version: VERSION,
    startTime: parts.startTime,
    targets: { up: count('up'), down: count('down'), unknown: count('unknown') },
    activeSeries: parts.head.stats.activeSeries,
    samplesPerSecond: parts.rate.perSecond,
    journal: ownJournal(parts),
    store: {
      kind: settings.storeUrl === undefined ? 'embedded' : 'redis',
      usedBytes: pulse.usage.usedBytes,
      limitBytes: pulse.usage.limitBytes,
      healthy: pulse.healthy,
      message: pulse.message,
    },
    sources: sources(parts, targets),
    notices: notices(parts),
  };
}

function ownJournal(parts: StatusParts): JournalStatus | undefined {
  const journal = parts.journal();
  if (journal === undefined) return undefined;
  const state = parts.pulse.states.get(journal.ref);
  return {
    ref: journal.ref,
    position: journal.position,
    trimmed: state?.trimmed ?? { epoch: journal.position.epoch, sequence: 0 },
    ledger: journal.ledger,
    lagSeconds: journal.watermark === 0 ? 0 : (parts.clock.now() - journal.watermark) / 1000,
    entryBytes: state?.entryBytes ?? 0,
  };
}

/** As it is sent to a parent: what the ledgers count by job goes with the journals themselves. */
export function reportOf(status: HierarchyStatus): HierarchyStatus {
  const { journal, sources } = status;
  const slim = (one: JournalStatus): JournalStatus => {
    const { jobs, windows, trail, balance, collisions } = emptyLedger();
    return { ...one, ledger: { ...one.ledger, jobs, windows, trail, balance, collisions } };
  };
  return {
    ...status,
    journal: journal && slim(journal),
    sources: sources.map((source) => ({ ...source, journals: source.journals.map(slim) })),
  };
}

/** Everything that is pulled: by cursor, announced and not reached yet, and foreign `/federate`. */
function sources(parts: StatusParts, targets: readonly TargetStatus[]): SourceStatus[] {
  if (parts.registry === undefined) return [];
  const leaves = parts.registry.leaves();
  const found = new Map<string, SourceStatus>();
  for (const source of parts.puller?.sources() ?? []) found.set(baseOf(source.url), source);
  for (const leaf of leaves) {
    const known = found.get(baseOf(leaf.url));
    if (known !== undefined) {
      const health = leaf.lost && known.health !== 'up' ? 'lost' : known.health;
      found.set(baseOf(leaf.url), { ...known, name: leaf.name, health });
      continue;
    }
    found.set(baseOf(leaf.url), {
      ...unreached(leaf.name, leaf.url, leaf.lost ? 'lost' : 'unknown', 'canopy', ''),
      journals: storedJournals(parts, leaf.journal),
    });
  }
  for (const target of targets) {
    if (!new URL(target.scrapeUrl).pathname.endsWith('/federate')) continue;
    const known = found.get(baseOf(target.scrapeUrl));
    if (known === undefined) {
      const name = new URL(target.scrapeUrl).host;
      found.set(
        baseOf(target.scrapeUrl),
        unreached(name, target.scrapeUrl, target.health, 'foreign', target.lastError),
      );
    } else if (target.health === 'up' && known.clockSkew === undefined) {
      // It was scraped and has given no page: it answers text.
      found.set(baseOf(target.scrapeUrl), { ...known, kind: 'foreign', health: 'up' });
    } else if (target.health === 'down' && known.health !== 'lost') {
      found.set(baseOf(target.scrapeUrl), {
        ...known,
        health: 'down',
        lastError: target.lastError,
      });
    }
  }
  return namedApart([...found.values()]).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Names are labels of metrics, where the last one would stand for all: sources that call themselves the same are called by
 * their addresses, too.
 */
export function namedApart<S extends Pick<SourceStatus, 'name' | 'url'>>(all: readonly S[]): S[] {
  const counts = new Map<string, number>();
  for (const { name } of all) counts.set(name, (counts.get(name) ?? 0) + 1);
  return all.map((source) => {
    if (counts.get(source.name) === 1) return source;
    return { ...source, name: `${source.name} (${new URL(source.url).host})` };
  });
}

/** What the store has of a leaf that this process does not pull: a standby's knowledge of it. */
function storedJournals(
  { clock, pulse, untoldGaps }: StatusParts,
  journal: JournalId,
): JournalStatus[] {
  return [...pulse.states.values()]
    .filter(({ ref }) => journalIdOf(ref) === journal)
    .map(({ ref, position, trimmed, ledger: text, entryBytes }) => {
      const ledger = parseLedger(text);
      for (const gap of untoldGaps(ref)) addGap(ledger, gap);
      const lag = (clock.now() - ledger.watermark) / 1000;
      const lagSeconds = ledger.watermark === 0 ? -1 : Math.max(0, lag);
      return { ref, position, trimmed, ledger, lagSeconds, entryBytes };
    });
}

function baseOf(url: string): string {
  return new URL(url).origin;
}

function unreached(
  name: string,
  url: string,
  health: SourceStatus['health'],
  kind: SourceStatus['kind'],
  lastError: string,
): SourceStatus {
  return {
    name,
    url,
    health,
    lastError,
    kind,
    journals: [],
    report: undefined,
    mayBeAwaySeconds: -1,
    hopLagSeconds: -1,
    behindBytes: -1,
    clockSkew: undefined,
  };
}

function notices(parts: StatusParts): string[] {
  const { current, state } = parts.configuration;
  const lines = current.ignored.map((key) => `${key.place}: ${key.key} is ignored: ${key.reason}`);
  if (!state.successful) {
    const since = new Date(state.successTime).toISOString();
    lines.unshift(
      `the configuration could not be reloaded, the one read at ${since} runs on: ${state.error}`,
    );
  }
  const remark = parts.remark();
  if (remark !== '') lines.unshift(remark);
  const webConfig = parts.listening()?.problem?.() ?? '';
  if (webConfig !== '') {
    lines.push(`the web configuration cannot be used, the one read before is: ${webConfig}`);
  }
  const announcer = parts.announcer();
  if (announcer?.health === 'down') {
    lines.push(
      `the parent ${parts.settings.parentUrl} did not take the announcement: ${announcer.lastError}`,
    );
  }
  return lines;
}
