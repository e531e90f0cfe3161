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
  type JournalState,
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
  for (const source of parts.puller?.sources() ?? []) found.set(placeOf(source.url), source);
  for (const leaf of leaves) {
    const place = placeOf(`${leaf.url}/federate`);
    const known = found.get(place);
    if (known !== undefined) {
      const health = leaf.lost && known.health !== 'up' ? 'lost' : known.health;
      found.set(place, { ...known, name: leaf.name, health });
      continue;
    }
    found.set(place, {
      ...unreached(leaf.name, leaf.url, leaf.lost ? 'lost' : 'unknown', 'canopy', ''),
      journals: storedJournals(parts, leaf.journal),
    });
  }
  for (const target of targets) {
    if (!new URL(target.scrapeUrl).pathname.endsWith('/federate')) continue;
    const place = placeOf(target.scrapeUrl);
    const known = found.get(place);
    if (known === undefined) {
      const name = new URL(target.scrapeUrl).host;
      found.set(
        place,
        unreached(name, target.scrapeUrl, target.health, 'foreign', target.lastError),
      );
    } else if (target.health === 'up' && known.clockSkew === undefined) {
      // It was scraped and has given no page: it answers text.
      found.set(place, { ...known, kind: 'foreign', health: 'up' });
    } else if (target.health === 'down' && known.health !== 'lost') {
      found.set(place, { ...known, health: 'down', lastError: target.lastError });
    }
  }
  if (parts.puller === undefined) {
    addStored(found, [...parts.pulse.states.values()], (state) => storedJournal(parts, state));
  }
  return namedApart([...found.values()]).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Names are labels of metrics, where the last one would stand for all: sources that call themselves the same are called by
 * their addresses, too, and those of one host by what they are asked for.
 */
export function namedApart<S extends Pick<SourceStatus, 'name' | 'url'>>(all: readonly S[]): S[] {
  const isShared = (texts: readonly string[]) => {
    const counts = new Map<string, number>();
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
    return (text: string): boolean => counts.get(text)! > 1;
  };
  const byHost = all.map(({ name, url }) => (url === '' ? name : `${name} (${new URL(url).host})`));
  const isSharedName = isShared(all.map(({ name }) => name));
  const isSharedHost = isShared(byHost);
  return all.map((source, i) => {
    if (!isSharedName(source.name) || source.url === '') return source;
    if (!isSharedHost(byHost[i])) return { ...source, name: byHost[i] };
    const { host, pathname, search } = new URL(source.url);
    return { ...source, name: `${source.name} (${host}${pathname}${search})` };
  });
}

/**
 * On standby: adds to `found`, by place, what the store has of sources that announce themselves to nobody, by the names that
 * their ledgers have of them. Where they are only the parent knows that pulls them.
 */
export function addStored(
  found: Map<string, SourceStatus>,
  states: readonly JournalState[],
  journalOf: (state: JournalState) => JournalStatus,
): void {
  const shown = new Set<JournalRef>();
  const places = new Map<string, string>();
  for (const [place, { name, journals }] of found) {
    places.set(name, place);
    for (const { ref } of journals) shown.add(ref);
  }
  for (const state of states.filter(({ ref }) => !shown.has(ref))) {
    const journal = journalOf(state);
    const name = journal.ledger.trail.at(-1)?.name;
    // The store's own journals have come no way.
    if (name === undefined) continue;
    const place = places.get(name) ?? name;
    places.set(name, place);
    const known = found.get(place) ?? unreached(name, '', 'unknown', 'canopy', '');
    found.set(place, { ...known, journals: [...known.journals, journal] });
  }
}

/** What the store has of a leaf that this process does not pull: a standby's knowledge of it. */
function storedJournals(parts: StatusParts, journal: JournalId): JournalStatus[] {
  return [...parts.pulse.states.values()]
    .filter(({ ref }) => journalIdOf(ref) === journal)
    .map((state) => storedJournal(parts, state));
}

function storedJournal(
  { clock, untoldGaps }: StatusParts,
  { ref, position, trimmed, ledger: text, entryBytes }: JournalState,
): JournalStatus {
  const ledger = parseLedger(text);
  for (const gap of untoldGaps(ref)) addGap(ledger, gap);
  const lag = (clock.now() - ledger.watermark) / 1000;
  const lagSeconds = ledger.watermark === 0 ? -1 : Math.max(0, lag);
  return { ref, position, trimmed, ledger, lagSeconds, entryBytes };
}

/** One process may be pulled for several things: each has its journals. */
function placeOf(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return `${origin}${pathname}${search}`;
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
