/**
 * A leaf: scrape → journal → head → pages for a parent.
 */
import { type DurationMs, asTime } from '@canopy/model';
import { JournalTrimmer, replayFrom } from '@canopy/store';
import type { Settings } from '../cli/settings.js';
import type { Log } from '../log.js';
import { startAnnouncing } from '../parts/announcing.js';
import { storeAnswers } from '../parts/open-store.js';
import { openOwnJournal } from '../parts/own-journal.js';
import { CanopyProcess, HEAD_WINDOW } from '../parts/process.js';
import { Rate } from '../parts/rate.js';
import { RecentTiles } from '../parts/recent-tiles.js';
import { recoverLive } from '../parts/recovery.js';
import { startRemoteWrite } from '../parts/remote-write.js';
import { startScraping } from '../parts/scraping.js';
import { bindMetrics } from '../parts/self-metrics.js';
import { startServing } from '../parts/serving.js';
import { hierarchyStatus } from '../parts/status.js';
import type { World } from '../parts/world.js';

/** Brings a leaf up. Resolves when it listens; `up` when it scrapes and answers. */
export async function startLeaf(
  settings: Settings,
  log: Log,
  world: World,
): Promise<{ process: CanopyProcess; up: (signal: AbortSignal) => Promise<void> }> {
  const process = await CanopyProcess.open(settings, log, world);
  const { life, store, clock, pulse, configuration, leases } = process;
  const recent = new RecentTiles({
    ...{ store, leases, log, clock, window: HEAD_WINDOW },
    head: () => process.head,
    bytesMax: tileBytesMax(settings),
  });
  const web = await process.listen({
    tiles: { source: recent.source, onClosed: (ref, tile) => recent.add(ref, tile) },
    register: null,
  });
  const { head } = process;
  let trimmedBytes = 0;

  process.remark = () => recent.text;
  process.hierarchy = () =>
    hierarchyStatus({
      ...{
        clock,
        settings,
        configuration,
        head,
        pulse,
        rate: process.rate,
        startTime: process.startTime,
      },
      targets: () => process.scraping?.active() ?? [],
      journal: () => process.journal,
      puller: undefined,
      untoldGaps: (ref) => process.foundGaps.of(ref),
      registry: undefined,
      announcer: () => process.announcer?.state,
      listening: () => process.listening,
      remark: process.remark,
    });
  bindMetrics(process.metrics, {
    ...{ settings, head, pulse, volatile: process.volatile, tiles: recent.keeper },
    blocks: undefined,
    retention: recent.retention,
    configuration,
    web: () => web.totals,
    listening: () => process.listening,
    registry: undefined,
    puller: () => undefined,
    frames: () => process.frames,
    deletions: () => process.deletions,
    scrapes: () => process.scraping?.totals,
    remoteWrite: () => process.remoteWrite?.totals,
    engine: process.engine,
    journal: () => process.journal,
    corruptRecords: () => process.corrupt.count,
    trimmedBytes: () => trimmedBytes,
    isStandby: () => false,
    hierarchy: () => process.hierarchy(),
  });

  const up = async (signal: AbortSignal): Promise<void> => {
    await storeAnswers(store, clock, log, signal);
    await process.deletions?.load();
    // Scraping and handing pages on do not wait for the head: it takes in the journal meanwhile.
    process.isLevel = false;
    const journal = await openOwnJournal(process, { life, isLost: () => false });
    const { ref } = journal;
    const window = replayFrom(journal, asTime(clock.now() - HEAD_WINDOW));
    const from = await recent.replayFrom(ref, window);
    const written = new Rate(() => journal.ledger.bytes);
    startServing(process, {
      journal,
      watermark: (ref) => (ref === journal.ref ? journal.watermark : 0),
      position: (ref) => (ref === journal.ref ? journal.position : undefined),
      keptFor: () => keptFor(settings, written.perSecond),
      rememberReaders: false,
      life,
    });
    startRemoteWrite(process, journal, life);
    startScraping(process, {
      journal,
      jobsOf: (config) => config.scrapeConfigs,
      discoveries: [],
      pullFormat: undefined,
      life,
    });
    await recoverLive(
      { store, head, log, onProgress: (text) => (process.notReady = text) },
      { ref, from, position: () => journal.position },
      () => (process.isLevel = true),
    );
    const trimmer = new JournalTrimmer({
      ...{ store, journal, log },
      maxAge: settings.journalRetention,
      maxBytes: settings.journalRetentionBytes,
      dropLayouts: true,
    });
    const beat = async () => {
      written.tick(clock.monotonic());
      process.rate.tick(clock.monotonic());
      await pulse.beat();
    };
    await beat();
    const stopHousekeeping = world.startHousekeeping(
      [
        { name: 'readings', when: '*/5 * * * * *', run: beat },
        { name: 'collisions', when: '*/5 * * * * *', run: () => process.noteCollisions() },
        { name: 'expiry', when: '30 * * * * *', run: () => void head.expire(clock.now()) },
        {
          name: 'journal retention',
          when: '0 * * * * *',
          run: async () => {
            trimmedBytes += (await trimmer.trim(clock.now())).bytesFreed;
          },
        },
        ...recent.chores(),
      ],
      log,
    );
    life.add('housekeeping', stopHousekeeping);
    life.add('recent tiles', () => recent.stop());
    recent.start();
    process.notReady = '';
    startAnnouncing(process, journal, life);
    log('info', 'ready', { jobs: process.config.scrapeConfigs.length });
  };
  return { process, up };
}

/** Half of what `--storage.max-bytes` leaves beside the journal. */
function tileBytesMax({ storageMaxBytes, journalRetentionBytes }: Settings): number {
  const spare = storageMaxBytes - (journalRetentionBytes || 0.9 * storageMaxBytes);
  return Math.max(0, spare) / 2;
}

/** How long an entry written now will be kept: the retention in time, or what the bytes allow at this pace. */
function keptFor(settings: Settings, bytesPerSecond: number): DurationMs {
  const byBytes =
    settings.journalRetentionBytes === 0 || bytesPerSecond <= 0
      ? Number.POSITIVE_INFINITY
      : (1000 * settings.journalRetentionBytes) / bytesPerSecond;
  const byTime =
    settings.journalRetention === 0 ? Number.POSITIVE_INFINITY : settings.journalRetention;
  const least = Math.min(byBytes, byTime);
  return (Number.isFinite(least) ? Math.floor(least) : -1) as DurationMs;
}
