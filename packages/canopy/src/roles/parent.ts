/**
 * A parent: pages from leaves → store → head → tiles to the store → answers for all clusters.
 * It also scrapes what its configuration lists, and is a leaf to its own parent.
 */
import { FramePuller, LeafRegistry } from '@canopy/federation';
import {
  type DurationMs,
  type JournalRef,
  type Milliseconds,
  asDuration,
  asTime,
} from '@canopy/model';
import pLimit from 'p-limit';
import type { Settings } from '../cli/settings.js';
import { systemClock } from '../clock.js';
import { DEFAULT_SCRAPE_TIMEOUT } from '../config/schema.js';
import type { Log } from '../log.js';
import { BlockKeeper } from '../parts/block-keeper.js';
import { startHousekeeping } from '../parts/housekeeping.js';
import { LEAF_JOB, LeafDiscovery, leafJob } from '../parts/leaf-discovery.js';
import { storeAnswers } from '../parts/open-store.js';
import { CanopyProcess, LEASE_TTL } from '../parts/process.js';
import { recoverAgain, recoverHead } from '../parts/recovery.js';
import { Retention } from '../parts/retention.js';
import { startScraping } from '../parts/scraping.js';
import { bindMetrics } from '../parts/self-metrics.js';
import { startServing } from '../parts/serving.js';
import { hierarchyStatus } from '../parts/status.js';
import { TileKeeper } from '../parts/tile-keeper.js';

const LEAVES_MAX = 10_000;
const LOST_AFTER = (5 * 60_000) as DurationMs;
const PAGE_BYTES_MAX = 64 * 1024 * 1024;
/** Share of the store's limit that samples may take when `--retention.bytes` is 0. */
const DEFAULT_SHARE = 0.7;

const MINUTE = 60_000;
/** Blocks of one window (two hours) at first, then of four, then of twelve: longer ones would only make retention coarser. */
const SPANS = [4, 12];
/** How much later a window is sealed, as a part of it. */
const SEAL_DELAY = 1 / 2;
/** A leaf keeps its journal for a day: what it has not sent by then it does not have. In windows. */
const ABANDONED_AFTER = 12;
const GRACE_MAX = 10 * MINUTE;
const MERGED_BYTES_MAX = 1024 * 1024 * 1024;
/** Of what retention may keep: dropping one block must not drop most of it. */
const MERGED_SHARE = 1 / 16;

/** Brings a parent up. Resolves when it listens; `up` when it pulls and answers. */
export async function startParent(
  settings: Settings,
  log: Log,
): Promise<{ process: CanopyProcess; up: (signal: AbortSignal) => Promise<void> }> {
  const process = await CanopyProcess.open(settings, log);
  const { life, store, pulse, configuration, owner } = process;
  const registry = new LeafRegistry({
    ...{ store, clock: systemClock, log },
    readToken: process.readToken,
    isOwn: ({ url, journal }) => url === settings.externalUrl || journal === process.journal?.id,
    leavesMax: LEAVES_MAX,
    lostAfter: LOST_AFTER,
  });
  const tiles = new TileKeeper({
    ...{ store, owner, log },
    head: () => process.head,
    leaseTtl: LEASE_TTL,
    oldestReader: (ref) => process.frames?.oldestReader(ref),
  });
  const bytesMax = async () =>
    settings.retentionBytes || Math.floor(DEFAULT_SHARE * (await store.usage()).limitBytes);
  const watermark = (ref: JournalRef): Milliseconds =>
    asTime(ref === process.journal?.ref ? process.journal.watermark : puller.watermark(ref));
  const { blocksWindow: window } = settings;
  const blocks = new BlockKeeper({
    ...{ store, owner, log, watermark, window },
    spans: SPANS.map((windows) => asDuration(windows * window)),
    sealDelay: asDuration(window * SEAL_DELAY),
    abandonedAfter: asDuration(window * ABANDONED_AFTER),
    grace: asDuration(Math.min(GRACE_MAX, window)),
    head: () => process.head,
    leaseTtl: LEASE_TTL,
    mergeBytesMax: async () => {
      const limit = await bytesMax();
      return limit === 0 ? MERGED_BYTES_MAX : Math.min(MERGED_BYTES_MAX, limit * MERGED_SHARE);
    },
  });
  const retention = new Retention({
    ...{ store, owner, log, bytesMax },
    head: () => process.head,
    leaseTtl: LEASE_TTL,
    retention: settings.retentionRaw,
  });
  const web = await process.listen({
    tiles: { source: store, onClosed: (ref, tile) => tiles.add(ref, tile) },
    register: (req, res) => registry.handle(req, res),
  });
  const { head } = process;
  const puller = new FramePuller({
    ...{ store, owner, log, clock: systemClock, appender: head },
    leaseTtl: LEASE_TTL,
    ownJournals: () => new Set(process.journal === undefined ? [] : [process.journal.id]),
    onWatermark: () => {},
    onStoreWentBack: (ref, state) => {
      tiles.forget(ref);
      blocks.forget(ref);
      return recoverAgain(store, head, ref, state, log);
    },
    pageBytesMax: PAGE_BYTES_MAX,
    journalsMax: LEAVES_MAX,
  });

  process.hierarchy = () =>
    hierarchyStatus({
      ...{ settings, configuration, head, pulse, puller, registry },
      ...{ rate: process.rate, startTime: process.startTime },
      targets: () => process.scraping?.active() ?? [],
      journal: () => process.journal,
      announcer: () => process.announcer?.state,
    });
  bindMetrics(process.metrics, {
    ...{ settings, head, pulse, tiles, blocks, retention, puller },
    configuration,
    web: () => web.totals,
    scrapes: () => process.scraping?.totals,
    journal: () => process.journal,
    corruptRecords: () => process.corruptRecords,
    trimmedBytes: () => tiles.stats.trimmedBytes,
    hierarchy: () => process.hierarchy(),
  });

  const up = async (signal: AbortSignal): Promise<void> => {
    process.notReady = 'waiting for the store';
    await storeAnswers(store, log, signal);
    process.notReady = 'recovering';
    await recoverHead({
      ...{ store, head, log },
      onProgress: (text) => (process.notReady = text),
      from: new Map(),
    });
    await registry.load();
    const journal = await process.openJournal();
    life.add('the last tiles', () => tiles.write());
    life.add('leases of pulled journals', () => puller.close());
    startServing(process, {
      journal,
      watermark,
      keptFor: () => settings.journalRetention,
    });
    startScraping(process, {
      journal,
      jobsOf: ({ globalScrapeInterval: interval, scrapeConfigs }) => [
        leafJob(interval, Math.min(interval, DEFAULT_SCRAPE_TIMEOUT) as DurationMs),
        ...scrapeConfigs,
      ],
      discoveries: [{ jobName: LEAF_JOB, discovery: new LeafDiscovery(registry) }],
      pullFormat: puller,
    });
    const beat = async () => {
      process.rate.tick(systemClock.monotonic());
      await pulse.beat();
    };
    await beat();
    const isShort = window < 10 * MINUTE;
    // What is being merged must not be dropped meanwhile.
    const inTurn = pLimit(1);
    const stopHousekeeping = startHousekeeping(
      [
        { name: 'readings', when: '*/5 * * * * *', run: beat },
        { name: 'tiles', when: '*/5 * * * * *', run: () => tiles.write() },
        { name: 'expiry', when: '30 * * * * *', run: () => void head.expire(systemClock.now()) },
        {
          name: 'retention',
          when: isShort ? '*/5 * * * * *' : '0 * * * * *',
          run: () =>
            inTurn(async () => {
              await blocks.settle();
              await retention.run(systemClock.now());
            }),
        },
        {
          name: 'blocks',
          when: isShort ? '*/5 * * * * *' : '15 */5 * * * *',
          run: () => inTurn(() => blocks.run(systemClock.now())),
        },
      ],
      log,
    );
    life.add('housekeeping', stopHousekeeping);
    process.notReady = '';
    process.announce(journal);
    log('info', 'ready', { leaves: registry.leaves().length });
  };
  return { process, up };
}
