/**
 * Every metric a Canopy process has of itself: name → type, help, labels. Dashboards and alert
 * rules in deploy/ may use these names only (a test reads them).
 */
export interface MetricDescription {
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels?: readonly string[];
}

export const METRICS = {
  canopy_build_info: {
    type: 'gauge',
    help: 'Constant 1; version, role and name of the process.',
    labels: ['version', 'role', 'name'],
  },
  canopy_ingested_samples_total: {
    type: 'counter',
    help: 'Samples and stale marks that entered by scrape or by pull.',
  },
  canopy_remote_write_samples_total: {
    type: 'counter',
    help: 'Samples and stale marks that came by remote write, those sent again included.',
  },
  canopy_appended_frames_total: {
    type: 'counter',
    help: 'Frames taken into the head, from scrapes and pulls.',
  },
  canopy_dropped_exemplars_total: {
    type: 'counter',
    help: 'Exemplars that exporters gave beside samples; they are not kept.',
  },
  canopy_refused_samples_total: {
    type: 'counter',
    help: 'Samples that were refused, by reason.',
    labels: ['reason'],
  },
  canopy_active_series: {
    type: 'gauge',
    help: 'Series with a sample within the window of the head.',
  },
  canopy_targets: {
    type: 'gauge',
    help: 'Targets by health (up, down, unknown).',
    labels: ['health'],
  },
  canopy_scrapes_total: { type: 'counter', help: 'Scrapes and pulls made.' },
  canopy_scrapes_failed_total: { type: 'counter', help: 'Scrapes and pulls that failed.' },
  canopy_scrapes_missed_total: {
    type: 'counter',
    help: 'Scrapes and pulls that were due while the one before was still running, and left out.',
  },
  canopy_scrapes_late_total: {
    type: 'counter',
    help: 'Scrapes and pulls that began over 2 ms late: their samples have the time they began.',
  },
  canopy_scrape_failures_total: {
    type: 'counter',
    help: 'Scrapes and pulls that failed, by the limit exceeded or the kind of error.',
    labels: ['reason'],
  },
  canopy_journal_bytes: {
    type: 'gauge',
    help: "Bytes of entries kept in the process's own journal.",
  },
  canopy_journal_limit_bytes: {
    type: 'gauge',
    help: 'Most bytes the journal may take; 0: no limit.',
  },
  canopy_journal_commits_total: { type: 'counter', help: 'Commits of the own journal.' },
  canopy_journal_dropped_frames_total: {
    type: 'counter',
    help: 'Frames dropped because the store would not take them in time; each is a named gap.',
  },
  canopy_store_used_bytes: { type: 'gauge', help: 'Bytes the store uses.' },
  canopy_store_limit_bytes: { type: 'gauge', help: 'Bytes the store may use; 0: no limit.' },
  canopy_store_healthy: { type: 'gauge', help: '1 while the store answers.' },
  canopy_store_volatile: {
    type: 'gauge',
    help: '1 while the journal goes on in memory because its disk takes no writes; a kill loses what was not pulled.',
  },
  canopy_store_volatile_bytes: {
    type: 'gauge',
    help: 'Bytes of journal in memory that the disk does not have yet.',
  },
  canopy_store_volatile_dropped_frames_total: {
    type: 'counter',
    help: 'Frames dropped from there, the oldest first, because they became too many; each is in a named gap.',
  },
  canopy_tiles_stored_total: { type: 'counter', help: 'Tiles written to the store.' },
  canopy_tiles_pending: { type: 'gauge', help: 'Closed tiles that wait to be written.' },
  canopy_tiles_unreadable_total: {
    type: 'counter',
    help: 'Tiles and indexes of blocks that were gone or failed their checks when they were read.',
  },
  canopy_blocks: { type: 'gauge', help: 'Blocks in the store.' },
  canopy_blocks_bytes: { type: 'gauge', help: 'Bytes of blocks, their indexes included.' },
  canopy_blocks_sealed_total: { type: 'counter', help: 'Blocks made of the tiles of a window.' },
  canopy_blocks_merged_total: { type: 'counter', help: 'Blocks made of several smaller ones.' },
  canopy_blocks_failed_total: {
    type: 'counter',
    help: 'Seals, merges and drops that failed; they are tried again.',
  },
  canopy_blocks_reclaimed_bytes_total: { type: 'counter', help: 'Bytes that merging made free.' },
  canopy_cache_bytes: {
    type: 'gauge',
    help: 'Memory for what was read: indexes of blocks with what they brought into the series index, tiles of the store, decoded columns.',
    labels: ['what'],
  },
  canopy_retention_dropped_bytes_total: {
    type: 'counter',
    help: 'Bytes of journals, tiles and blocks dropped by retention.',
  },
  canopy_parent_standby: {
    type: 'gauge',
    help: '1 while another parent writes the store and this one follows it.',
  },
  canopy_corrupt_entries_total: {
    type: 'counter',
    help: 'Stored records that failed their checks and were skipped.',
  },
  canopy_source_up: {
    type: 'gauge',
    help: '1 while the last pull of the source went well; not told on standby, where nothing is pulled.',
    labels: ['source'],
  },
  canopy_source_lost: {
    type: 'gauge',
    help: '1 for a source that has stayed away for five minutes without taking leave.',
    labels: ['source'],
  },
  canopy_source_lag_seconds: {
    type: 'gauge',
    help: 'Now minus the watermark of the source.',
    labels: ['source'],
  },
  canopy_watermark_timestamp_seconds: {
    type: 'gauge',
    help: 'Up to when the source is complete, Unix time; under its own name what this process scrapes.',
    labels: ['source'],
  },
  canopy_source_may_be_away_seconds: {
    type: 'gauge',
    help: "How far the source's journal reaches back: how long this process may be away without loss.",
    labels: ['source'],
  },
  canopy_source_hop_lag_seconds: {
    type: 'gauge',
    help: "Age of the newest page with all that the source had: this hop's part of the lag.",
    labels: ['source'],
  },
  canopy_source_behind_bytes: {
    type: 'gauge',
    help: 'About how many bytes of entries the source had beyond its last page.',
    labels: ['source'],
  },
  canopy_source_clock_skew_seconds: {
    type: 'gauge',
    help: "The source's clock less this process's, estimated from pulls.",
    labels: ['source'],
  },
  canopy_ledger_scrapes_total: {
    type: 'counter',
    help: 'Scrapes of this process by what became of them: journalled, missed, or why they were refused.',
    labels: ['job', 'outcome'],
  },
  canopy_ledger_frames_total: {
    type: 'counter',
    help: 'Frames stored, by source; those this process wrote under its own name.',
    labels: ['source'],
  },
  canopy_ledger_frames_missing: {
    type: 'gauge',
    help: 'Frames that a source had and that are not stored here; in_gap: whether a gap names them.',
    labels: ['source', 'in_gap'],
  },
  canopy_collisions_total: {
    type: 'counter',
    help: 'Pairs of targets that gave the same series for more than two intervals; the later one is hidden.',
    labels: ['source'],
  },
  canopy_type_conflicts: {
    type: 'gauge',
    help: 'Metric names for which targets say different types; /federate tells the most common.',
  },
  canopy_gaps_total: {
    type: 'counter',
    help: 'Named gaps by source and cause.',
    labels: ['source', 'cause'],
  },
  canopy_config_ignored_sections: {
    type: 'gauge',
    help: 'Sections and keys of the configuration that are known and have no effect.',
  },
  canopy_config_last_reload_successful: {
    type: 'gauge',
    help: '1 unless the last attempt to reload the configuration failed.',
  },
  canopy_config_last_reload_success_timestamp_seconds: {
    type: 'gauge',
    help: 'When the configuration in use was read, Unix time.',
  },
  canopy_engine_queries: {
    type: 'gauge',
    help: 'Queries being worked out or waiting.',
  },
  canopy_engine_queries_concurrent_max: {
    type: 'gauge',
    help: 'Most queries worked out at once.',
  },
  canopy_engine_queries_total: {
    type: 'counter',
    help: 'Queries taken.',
  },
  canopy_engine_queries_failed_total: {
    type: 'counter',
    help: 'Queries that ended in an error, by its kind.',
    labels: ['reason'],
  },
  canopy_engine_query_samples_total: {
    type: 'counter',
    help: 'Samples looked at by queries in all steps.',
  },
  canopy_engine_query_samples_read_total: {
    type: 'counter',
    help: 'The same, but a window counts only what the one before had not.',
  },
  canopy_engine_query_duration_seconds_total: {
    type: 'counter',
    help: 'Time that queries took, by part, as in `prometheus_engine_query_duration_seconds`.',
    labels: ['slice'],
  },
  canopy_http_requests_total: {
    type: 'counter',
    help: 'HTTP requests by route and status code.',
    labels: ['handler', 'code'],
  },
  canopy_leaves: {
    type: 'gauge',
    help: 'Leaves that announced themselves: `present`, or `lost` for five minutes.',
    labels: ['state'],
  },
  canopy_registrations_total: {
    type: 'counter',
    help: 'Announcements taken (`announced`), the repeated ones too, and leaves that took leave (`left`).',
    labels: ['kind'],
  },
  canopy_registrations_refused_total: {
    type: 'counter',
    help: 'Announcements refused: `forbidden` (token, certificate, address), `conflict` (name, journal), `too_many_requests`, `bad_data`, `limit`, trouble of the store.',
    labels: ['reason'],
  },
  canopy_pulls_refused_total: {
    type: 'counter',
    help: "Pages refused whole: `damaged`, `version`, `too_large`, `inconsistent` (what they say of themselves), another's journal (`foreign_journal`); journals of a page that would leave a hole (`ahead`) or are our own (`loop`); groups for a label of --federation.enforce-labels (`forged_label`).",
    labels: ['reason'],
  },
  canopy_unusable_reports_total: {
    type: 'counter',
    help: 'Reports of sources on themselves that could not be used; their pages were taken.',
  },
  canopy_served_pages_total: {
    type: 'counter',
    help: 'Answers to readers of pages: `sent`; `abandoned` (the reader went away, or did not take all of it in a minute); else why there was none: `too_many_requests`, `bad_data` (also a forged cursor), `format`, `storage_unavailable`.',
    labels: ['outcome'],
  },
  canopy_filter_bytes: {
    type: 'gauge',
    help: 'About what is remembered of readers with `match[]`, to go on decoding where they are.',
  },
  canopy_reader_branches_total: {
    type: 'counter',
    help: 'Pulls by readers whose newest entry is another than the one here: the journal was put back to an older state and went on.',
  },
  canopy_unreadable_documents_total: {
    type: 'counter',
    help: 'Small documents of the store that were damaged and are refused whole, by name (`sources`, `registry`: a leaf of it, too): the log says what is lost. A ledger that cannot be read is a gap with the cause `corrupt`.',
    labels: ['document'],
  },
  canopy_unread_cursors_total: {
    type: 'counter',
    help: 'Cursors of another version that readers came with: they began anew, and left out what they had.',
  },
  canopy_pulls_begun_anew_total: {
    type: 'counter',
    help: 'Journals of which a source began anew since it could not read the cursor; what is stored is left out.',
  },
  canopy_filters_dropped_total: {
    type: 'counter',
    help: 'Memories of readers with `match[]` that went for others; made again from the journal with their next pull.',
  },
  canopy_http_refused_total: {
    type: 'counter',
    help: 'Connections without the TLS (`tls`), requests without the password (`unauthorized`) that --web.config.file asks for, or beyond the passwords that may wait to be compared (`busy`); connections beyond 2,048, or half of them from one address (`connections`).',
    labels: ['reason'],
  },
  canopy_web_config_last_reload_successful: {
    type: 'gauge',
    help: '1 unless what is in the files of --web.config.file now cannot be used.',
  },
} as const satisfies Record<string, MetricDescription>;

export type MetricName = keyof typeof METRICS;
