/** Binds the numbers that parts count to the metrics of the process. */
import type {
  FramePuller,
  FrameServer,
  LeafRegistry,
  RemoteWriteReceiver,
} from '@canopy/federation';
import type { Head } from '@canopy/head';
import {
  type HierarchyStatus,
  type JournalReport,
  type JournalStatus,
  type SourceStatus,
  type Verdict,
  ledgerReport,
} from '@canopy/model';
import type { Engine } from '@canopy/promql';
import type { ScrapeTotals } from '@canopy/scrape';
import type { JournalWriter, VolatileStore } from '@canopy/store';
import type { WebTotals } from '@canopy/web';
import type { Settings } from '../cli/settings.js';
import type { SelfMetrics } from '../metrics/registry.js';
import { VERSION } from '../version.js';
import type { BlockKeeper } from './block-keeper.js';
import type { Configuration } from './configuration.js';
import type { Deletions } from './deletions.js';
import type { Retention } from './retention.js';
import type { StorePulse } from './store-pulse.js';
import type { TileKeeper } from './tile-keeper.js';
import type { Listening } from './world.js';

export interface MetricSources {
  readonly settings: Settings;
  readonly head: Head;
  readonly pulse: StorePulse;
  /** Of a leaf on a disk of its own. */
  readonly volatile: VolatileStore | undefined;
  readonly tiles: TileKeeper | undefined;
  readonly blocks: BlockKeeper | undefined;
  readonly retention: Retention | undefined;
  readonly configuration: Configuration;
  readonly web: () => WebTotals;
  listening(): Listening | undefined;
  readonly registry: LeafRegistry | undefined;
  puller(): FramePuller | undefined;
  frames(): FrameServer | undefined;
  deletions(): Deletions | undefined;
  scrapes(): Readonly<ScrapeTotals> | undefined;
  remoteWrite(): Readonly<RemoteWriteReceiver['totals']> | undefined;
  readonly engine: Engine;
  journal(): JournalWriter | undefined;
  corruptRecords(): number;
  trimmedBytes(): number;
  /** Ready, and not the one that writes the store. */
  isStandby(): boolean;
  hierarchy(): HierarchyStatus;
}

export function bindMetrics(metrics: SelfMetrics, sources: MetricSources): void {
  const from = { ...sources, hierarchy: onceATurn(() => sources.hierarchy()) };
  const { settings, head, pulse } = from;
  metrics.readings('canopy_build_info', () => [[[VERSION, settings.role, settings.name], 1]]);
  metrics.value('canopy_ingested_samples_total', () => from.scrapes()?.samples ?? 0);
  metrics.value('canopy_remote_write_samples_total', () => from.remoteWrite()?.samples ?? 0);
  metrics.value('canopy_appended_frames_total', () => head.stats.framesApplied);
  metrics.value(
    'canopy_dropped_exemplars_total',
    () => (from.scrapes()?.exemplars ?? 0) + (from.remoteWrite()?.exemplars ?? 0),
  );
  metrics.readings('canopy_refused_samples_total', () => [
    ...byReason(head.stats.refused),
    ...byReason(from.scrapes()?.refused ?? {}, 'scrape_'),
    ...byReason(from.remoteWrite()?.refused ?? {}, 'remote_write_'),
  ]);
  metrics.value('canopy_active_series', () => head.stats.activeSeries);
  metrics.readings('canopy_targets', () => {
    const { up, down, unknown } = from.hierarchy().targets;
    return [
      [['up'], up],
      [['down'], down],
      [['unknown'], unknown],
    ];
  });
  metrics.value('canopy_scrapes_total', () => from.scrapes()?.scrapes ?? 0);
  metrics.value('canopy_scrapes_failed_total', () => from.scrapes()?.failed ?? 0);
  metrics.value('canopy_scrapes_missed_total', () => from.scrapes()?.missed ?? 0);
  metrics.value('canopy_scrapes_late_total', () => from.scrapes()?.late ?? 0);
  metrics.readings('canopy_scrape_failures_total', () =>
    byReason(from.scrapes()?.failedByReason ?? {}),
  );
  metrics.value('canopy_journal_bytes', () => from.hierarchy().journal?.entryBytes ?? 0);
  metrics.value('canopy_journal_limit_bytes', () => settings.journalRetentionBytes);
  metrics.value('canopy_journal_commits_total', () => from.journal()?.stats.commits ?? 0);
  metrics.value(
    'canopy_journal_dropped_frames_total',
    () => from.journal()?.stats.framesDropped ?? 0,
  );
  metrics.value('canopy_store_used_bytes', () => pulse.usage.usedBytes);
  metrics.value('canopy_store_limit_bytes', () => pulse.usage.limitBytes);
  metrics.value('canopy_store_healthy', () => (pulse.healthy ? 1 : 0));
  if (settings.role === 'leaf') bindVolatile(metrics, from.volatile);
  metrics.value('canopy_tiles_stored_total', () => from.tiles?.stats.stored ?? 0);
  metrics.value('canopy_tiles_pending', () => from.tiles?.pending ?? 0);
  metrics.value(
    'canopy_retention_dropped_bytes_total',
    () => from.trimmedBytes() + (from.retention?.stats.droppedBytes ?? 0),
  );
  bindBlocks(metrics, from);
  if (settings.role === 'parent') {
    metrics.value('canopy_parent_standby', () => (from.isStandby() ? 1 : 0));
  }
  metrics.value('canopy_corrupt_entries_total', () => from.corruptRecords());
  const { configuration } = from;
  metrics.value('canopy_config_ignored_sections', () => configuration.current.ignored.length);
  metrics.value('canopy_config_last_reload_successful', () =>
    configuration.state.successful ? 1 : 0,
  );
  metrics.value(
    'canopy_config_last_reload_success_timestamp_seconds',
    () => configuration.state.successTime / 1000,
  );
  metrics.readings('canopy_http_requests_total', () => requests(from.web()));
  metrics.readings('canopy_http_refused_total', () => byReason(from.listening()?.refused ?? {}));
  metrics.value('canopy_web_config_last_reload_successful', () =>
    (from.listening()?.problem?.() ?? '') === '' ? 1 : 0,
  );
  bindEngine(metrics, from);
  bindRegistry(metrics, from);
  bindServing(metrics, from);
  bindSources(metrics, from);
}

function bindVolatile(metrics: SelfMetrics, volatile: VolatileStore | undefined): void {
  metrics.value('canopy_store_volatile', () => (volatile?.isVolatile === true ? 1 : 0));
  metrics.value('canopy_store_volatile_bytes', () => volatile?.tailBytes ?? 0);
  metrics.value(
    'canopy_store_volatile_dropped_frames_total',
    () => volatile?.stats.framesDropped ?? 0,
  );
}

function bindEngine(metrics: SelfMetrics, { engine, settings }: MetricSources): void {
  const { totals } = engine;
  metrics.value('canopy_engine_queries', () => engine.load.running + engine.load.waiting);
  metrics.value('canopy_engine_queries_concurrent_max', () => settings.queryMaxConcurrency);
  metrics.value('canopy_engine_queries_total', () => totals.queries);
  metrics.readings('canopy_engine_queries_failed_total', () => byReason(totals.failed));
  metrics.value('canopy_engine_query_samples_total', () => totals.queryableSamples);
  metrics.value('canopy_engine_query_samples_read_total', () => totals.samplesRead);
  metrics.readings('canopy_engine_query_duration_seconds_total', () => [
    [['queue_time'], totals.queueTime],
    [['prepare_time'], totals.preparationTime],
    [['inner_eval'], totals.innerEvalTime],
    [['result_sort'], totals.resultSortTime],
  ]);
}

function bindRegistry(metrics: SelfMetrics, { registry, puller }: MetricSources): void {
  if (registry === undefined) return;
  metrics.readings('canopy_leaves', () => {
    const leaves = registry.leaves();
    const lost = leaves.filter((leaf) => leaf.lost).length;
    return [
      [['present'], leaves.length - lost],
      [['lost'], lost],
    ];
  });
  metrics.readings('canopy_registrations_total', () => [
    [['announced'], registry.totals.accepted],
    [['left'], registry.totals.left],
  ]);
  metrics.readings('canopy_registrations_refused_total', () => byReason(registry.totals.refused));
  metrics.readings('canopy_pulls_refused_total', () => {
    const totals = puller()?.totals;
    return [
      [['foreign_journal'], totals?.foreignJournals ?? 0],
      [['forged_label'], totals?.forgedGroups ?? 0],
      [['ahead'], totals?.ahead ?? 0],
      [['loop'], totals?.loops ?? 0],
      ...byReason(totals?.refusedPages ?? {}),
    ];
  });
}

function bindServing(
  metrics: SelfMetrics,
  { frames, puller, registry, deletions }: MetricSources,
): void {
  metrics.readings('canopy_served_pages_total', () => {
    const totals = frames()?.totals;
    return [
      [['sent'], totals?.pages ?? 0],
      [['abandoned'], totals?.abandoned ?? 0],
      ...byReason(totals?.refusedBy ?? {}),
    ];
  });
  metrics.value('canopy_reader_branches_total', () => frames()?.totals.branches ?? 0);
  metrics.readings('canopy_unreadable_documents_total', () => [
    ...byReason(frames()?.unreadable ?? {}),
    ...byReason(puller()?.totals.unreadable ?? {}),
    ...byReason(registry?.totals.unreadable ?? {}),
    ...byReason(deletions()?.unreadable ?? {}),
  ]);
  metrics.value('canopy_unread_cursors_total', () => frames()?.totals.unreadCursors ?? 0);
  metrics.value('canopy_pulls_begun_anew_total', () => puller()?.totals.begunAnew ?? 0);
  metrics.value('canopy_filter_bytes', () => frames()?.viewBytes ?? 0);
  metrics.value('canopy_filters_dropped_total', () => frames()?.totals.viewsDropped ?? 0);
  metrics.value('canopy_unusable_reports_total', () => puller()?.totals.unusableReports ?? 0);
}

function bindBlocks(metrics: SelfMetrics, { head, blocks, retention }: MetricSources): void {
  metrics.value('canopy_blocks', () => head.stats.blocks);
  metrics.value('canopy_blocks_bytes', () => head.stats.blockBytes);
  metrics.value('canopy_blocks_sealed_total', () => blocks?.stats.sealed ?? 0);
  metrics.value('canopy_blocks_merged_total', () => blocks?.stats.merged ?? 0);
  metrics.value(
    'canopy_blocks_failed_total',
    () => (blocks?.stats.failures ?? 0) + (retention?.stats.failures ?? 0),
  );
  metrics.value('canopy_blocks_reclaimed_bytes_total', () => blocks?.stats.reclaimedBytes ?? 0);
  metrics.value('canopy_tiles_unreadable_total', () => {
    const { tilesUnreadable, indexesUnreadable } = head.stats;
    return tilesUnreadable + indexesUnreadable + (blocks?.stats.unreadableTiles ?? 0);
  });
  metrics.readings('canopy_cache_bytes', () => [
    [['index'], head.stats.archiveBytes],
    [['tiles'], head.stats.tileCacheBytes],
    [['columns'], head.stats.columnCacheBytes],
  ]);
}

function bindSources(metrics: SelfMetrics, from: MetricSources): void {
  /** One reading a source; -1 stands for not known and is left out. */
  const perSource = (read: (source: SourceStatus) => number) => () =>
    from
      .hierarchy()
      .sources.map((source) => [[source.name], read(source)] as const)
      .filter(([, value]) => value >= 0);
  metrics.readings(
    'canopy_source_up',
    perSource((source) => (source.health === 'up' ? 1 : from.isStandby() ? -1 : 0)),
  );
  metrics.readings(
    'canopy_source_lost',
    perSource((source) => (source.health === 'lost' ? 1 : 0)),
  );
  metrics.readings(
    'canopy_source_lag_seconds',
    perSource((source) => Math.max(-1, ...source.journals.map((journal) => journal.lagSeconds))),
  );
  metrics.readings('canopy_watermark_timestamp_seconds', () => {
    const { name, journal, sources } = from.hierarchy();
    const own = journal === undefined ? [] : [{ name, journals: [journal] }];
    return [...own, ...sources].flatMap(({ name: source, journals }) => {
      const marks = journals.map(({ ledger }) => ledger.watermark).filter((mark) => mark > 0);
      return marks.length === 0 ? [] : [[[source], Math.min(...marks) / 1000]];
    });
  });
  metrics.readings(
    'canopy_source_hop_lag_seconds',
    perSource((source) => source.hopLagSeconds),
  );
  metrics.readings(
    'canopy_source_behind_bytes',
    perSource((source) => source.behindBytes),
  );
  metrics.readings('canopy_source_clock_skew_seconds', () =>
    from
      .hierarchy()
      .sources.flatMap(({ name, clockSkew }) =>
        clockSkew === undefined ? [] : [[[name], clockSkew.seconds]],
      ),
  );
  bindLedger(metrics, from);
  metrics.readings(
    'canopy_source_may_be_away_seconds',
    perSource((source) => source.mayBeAwaySeconds),
  );
  metrics.readings('canopy_gaps_total', () => {
    const status = from.hierarchy();
    const counts = new Map<string, readonly [readonly string[], number]>();
    const add = (name: string, journal: JournalStatus) => {
      for (const [cause, count] of Object.entries(journal.ledger.gapsByCause)) {
        const key = `${name}\u0000${cause}`;
        counts.set(key, [[name, cause], (counts.get(key)?.[1] ?? 0) + count]);
      }
    };
    if (status.journal !== undefined) add(status.name, status.journal);
    for (const source of status.sources)
      for (const journal of source.journals) add(source.name, journal);
    return counts.values();
  });
}

/** All metrics that are read together read one status: it may have a thousand sources. */
function onceATurn<T>(read: () => T): () => T {
  let known: { readonly value: T } | undefined;
  return () => {
    if (known === undefined) {
      known = { value: read() };
      setImmediate(() => (known = undefined));
    }
    return known.value;
  };
}

function bindLedger(metrics: SelfMetrics, from: MetricSources): void {
  metrics.readings('canopy_ledger_scrapes_total', () => scrapesByOutcome(from.hierarchy()));
  const report = onceATurn(() => ledgerReport(from.hierarchy()));
  const perSource = (read: (journal: JournalReport) => Iterable<[string[], number]>) => () => {
    const counts = new Map<string, [string[], number]>();
    for (const journal of report().journals) {
      for (const [labels, value] of read(journal)) {
        const key = labels.join('\u0000');
        counts.set(key, [labels, (counts.get(key)?.[1] ?? 0) + value]);
      }
    }
    return counts.values();
  };
  metrics.readings(
    'canopy_ledger_frames_total',
    perSource(({ source, frames }) => [[[source], frames]]),
  );
  metrics.readings(
    'canopy_collisions_total',
    perSource(({ source, collisionsTotal }) => [[[source], collisionsTotal]]),
  );
  metrics.value('canopy_type_conflicts', () => typeConflicts(from.head));
  metrics.readings(
    'canopy_ledger_frames_missing',
    perSource(({ source, path, jobs }) => {
      if (path.length === 1) return [];
      const sum = (verdict: Verdict) =>
        jobs.reduce((total, job) => total + (job.verdict === verdict ? job.missing : 0), 0);
      return [
        [[source, 'true'], sum('gaps')],
        [[source, 'false'], sum('differs')],
      ];
    }),
  );
}

function typeConflicts(head: Head): number {
  let conflicts = 0;
  for (const families of head.metadata().values()) {
    if (families.some(({ type }) => type !== families[0].type)) conflicts++;
  }
  return conflicts;
}

function* scrapesByOutcome({
  journal,
}: HierarchyStatus): Generator<readonly [readonly string[], number]> {
  for (const [job, counts] of Object.entries(journal?.ledger.jobs ?? {})) {
    yield [[job, 'journalled'], counts.journalled];
    yield [[job, 'missed'], counts.missed];
    for (const [reason, count] of Object.entries(counts.refused)) yield [[job, reason], count];
  }
}

function* byReason(
  counts: Readonly<Record<string, number>>,
  prefix = '',
): Generator<readonly [readonly string[], number]> {
  for (const [reason, count] of Object.entries(counts)) yield [[prefix + reason], count];
}

function* requests(totals: WebTotals): Generator<readonly [readonly string[], number]> {
  for (const [route, counts] of Object.entries(totals.routes)) {
    for (const [code, count] of Object.entries(counts.requests)) yield [[route, code], count];
  }
}
