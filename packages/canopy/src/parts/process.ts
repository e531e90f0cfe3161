/**
 * What a leaf and a parent have in common: store, head, query engine, metrics, and the order in which they come up.
 * What it answers HTTP with is in doors.ts. A parent is a leaf that also pulls; roles/ wires the difference.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  Announcer,
  FramePuller,
  FrameServer,
  RemoteWriteReceiver,
  TokenRule,
} from '@canopy/federation';
import { Head, type TileSource } from '@canopy/head';
import {
  CanopyError,
  type Clock,
  type DurationMs,
  type HierarchyStatus,
  type JournalRef,
  type Milliseconds,
  type Queryable,
  type StoredTile,
  type TargetStatus,
  errorText,
  labelsFromObject,
  labelsToObject,
} from '@canopy/model';
import type { Engine } from '@canopy/promql';
import type { ScrapeManager } from '@canopy/scrape';
import type { JournalWriter, ReportingStore, VolatileStore } from '@canopy/store';
import type { Web } from '@canopy/web';
import type { Settings } from '../cli/settings.js';
import type { LoadedConfig } from '../config/load.js';
import { LifeCycle } from '../life-cycle.js';
import type { Log } from '../log.js';
import { SelfMetrics } from '../metrics/registry.js';
import { openAdministration } from './administration.js';
import { Configuration, type RunningConfig } from './configuration.js';
import { CorruptRecords } from './corrupt-records.js';
import type { Deletions } from './deletions.js';
import { makeDoors } from './doors.js';
import { FoundDamage } from './found-damage.js';
import { FoundGaps } from './found-gaps.js';
import { makeEngine } from './query-engine.js';
import { Rate } from './rate.js';
import { JournalLeases } from './journal-leases.js';
import { nameOf, storedLedger } from './journal-paths.js';
import { StorePulse } from './store-pulse.js';
import { Watermarks } from './watermarks.js';
import { type Listening, type OpenedStore, type World, tokenReader } from './world.js';
import { sayKernels } from './kernels.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
export const HEAD_WINDOW = (120 * MINUTE) as DurationMs;
export const KEY_FRAME_EVERY = 120;
/** A parent that died is followed by another within this, and one more pull interval. */
export const LEASE_TTL = (8 * SECOND) as DurationMs;
export const LEASE_RENEW_EVERY = (2 * SECOND) as DurationMs;
const SERIES_MAX = 10_000_000;
export const PART_STOP_MS = 2000;

/** What the role adds to a process before it listens. */
export interface RoleParts {
  /** Closed tiles; null where none are stored. */
  readonly tiles: { source: TileSource; onClosed(ref: JournalRef, tile: StoredTile): void } | null;
  /** Answers announcements; null where nobody may announce itself. */
  readonly register: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | null;
}

/** A process on its way up or running. Parts that come later are undefined until then. */
export class CanopyProcess {
  readonly settings: Settings;
  readonly world: World;
  readonly clock: Clock;
  /** How late samples with times of their own may come; a reload does not change it. */
  readonly outOfOrderWindow: DurationMs;
  readonly configuration: Configuration;
  readonly log: Log;
  readonly life: LifeCycle;
  readonly store: ReportingStore;
  readonly pathIdentity: string;
  readonly #backup: OpenedStore['backup'];
  /** What the store keeps in memory while its disk takes no writes; undefined where it keeps nothing there. */
  readonly volatile: VolatileStore | undefined;
  readonly pulse: StorePulse;
  readonly metrics: SelfMetrics;
  readonly startTime: Milliseconds;
  readonly rate: Rate;
  readonly readTokens: () => Promise<readonly TokenRule[]>;
  /** Owner of leases: another one each time, so that two processes are never taken for one. */
  readonly owner: string;
  readonly leases: JournalLeases;
  /** The head has all of the own journal that is synced, and is given what comes. */
  isLevel = true;
  /** Why queries cannot be answered yet; '' once they can. */
  notReady = 'starting';
  /** What else people should know of a process that is ready; '' for nothing. */
  remark: () => string = () => '';
  /** What the role knows of a target beyond its last scrape. */
  describeTarget: (target: TargetStatus) => TargetStatus = (target) => target;
  /** Ends the process as a signal would. */
  quit: () => void = () => {};
  listening: Listening | undefined;
  journal: JournalWriter | undefined;
  scraping: ScrapeManager | undefined;
  frames: FrameServer | undefined;
  puller: FramePuller | undefined;
  announcer: Announcer | undefined;
  remoteWrite: RemoteWriteReceiver | undefined;
  deletions: Deletions | undefined;
  hierarchy: () => HierarchyStatus = () => {
    throw new CanopyError('unavailable', 'starting');
  };
  readonly watermarks: Watermarks;
  #head: Head | undefined;
  #engine: Engine | undefined;
  readonly foundGaps = new FoundGaps(this);
  readonly corrupt: CorruptRecords;

  private constructor(
    settings: Settings,
    world: World,
    configuration: Configuration,
    log: Log,
    { store, pathIdentity, backup, volatile }: OpenedStore,
  ) {
    this.settings = settings;
    this.world = world;
    this.clock = world.clock;
    this.outOfOrderWindow = configuration.current.outOfOrderTimeWindow;
    this.startTime = world.clock.now();
    this.metrics = new SelfMetrics(world.ownsProcess);
    this.configuration = configuration;
    this.log = log;
    this.life = new LifeCycle(log, world.clock, PART_STOP_MS);
    this.store = store;
    this.pathIdentity = pathIdentity;
    this.#backup = backup;
    this.corrupt = new CorruptRecords(log, (ref, gap) => this.foundGaps.name(ref, gap));
    this.volatile = volatile;
    if (volatile !== undefined) volatile.onDropped = (ref, gap) => this.foundGaps.name(ref, gap);
    this.pulse = new StorePulse(store);
    this.watermarks = new Watermarks({
      clock: world.clock,
      journalsOf: (reads) => {
        const sets = reads.map(({ matchers }) => matchers);
        return this.head.provenance.journalsOf(sets, Math.min(...reads.map((r) => r.minTime)));
      },
      stored: (ref) => storedLedger(this, ref).watermark,
      own: (ref) => (ref === this.journal?.ref ? this.journal.watermark : undefined),
      nameOf: (ref) => nameOf(this, ref),
    });
    this.rate = new Rate(() => this.scraping?.totals.samples ?? 0);
    this.readTokens = tokenReader(settings.tokenFile);
    const mark = Buffer.from(world.randomBytes(6)).toString('hex');
    this.owner = `${settings.name}@${world.hostname}-${mark}`;
    const { clock, owner } = this;
    this.leases = new JournalLeases({ store, clock, owner, ttl: LEASE_TTL });
  }

  /**
   * Reads the configuration and opens the store.
   * @throws CanopyError `config_invalid`, `storage_locked`, `storage_unsuitable`.
   */
  static async open(settings: Settings, log: Log, world: World): Promise<CanopyProcess> {
    await checkTokenFile(settings);
    const configuration = new Configuration(settings, world, log);
    let made: CanopyProcess | undefined;
    const opened = await world.openStore(settings, log, (record) => made?.corrupt.note(record));
    made = new CanopyProcess(settings, world, configuration, log, opened);
    made.life.add('the store', async () => opened.store[Symbol.asyncDispose]());
    return made;
  }

  /** Looks for series that two targets give at once, and tells the ledgers. */
  async noteCollisions(): Promise<void> {
    // The parent that a standby follows tells of them.
    if (this.journal === undefined) return;
    const noticed = this.clock.now();
    for (const { ref, ...collision } of await this.head.provenance.collisions()) {
      this.log('warn', 'two targets give the same series', { ...collision });
      if (ref === this.journal?.ref) this.journal.nameCollision({ ...collision, noticed });
      else this.puller?.nameCollision(ref, { ...collision, noticed });
    }
  }

  /** Names what was found before the ledgers of other journals were written by this process. */
  pullBy(puller: FramePuller): void {
    this.puller = puller;
    for (const { ref, gap } of this.corrupt.missing()) {
      if (ref !== this.journal?.ref) puller.nameGap(ref, gap);
    }
    this.foundGaps.tell();
  }

  get head(): Head {
    if (this.#head === undefined) throw new Error('BUG: the head is not there yet');
    return this.#head;
  }

  get engine(): Engine {
    if (this.#engine === undefined) throw new Error('BUG: the engine is not there yet');
    return this.#engine;
  }

  /** The one in use; another one after a reload. */
  get config(): RunningConfig {
    return this.configuration.current;
  }

  /** Labels attached to whatever is scraped under `config`. */
  externalLabels(config: LoadedConfig): LoadedConfig['externalLabels'] {
    const configured = labelsToObject(config.externalLabels);
    return labelsFromObject({ ...configured, ...clusterLabel(this.settings) });
  }

  #openEngine(queryable: Queryable): Engine {
    const activeQueries = this.world.openActiveQueries(this.settings, this.log);
    if (activeQueries !== undefined) {
      this.life.add('the log of queries', () => activeQueries.close());
    }
    this.#engine = makeEngine(this.settings, queryable, this.clock, activeQueries);
    return this.#engine;
  }

  /**
   * Makes the head and answers HTTP from now on; queries say 503 until the role is ready.
   * @throws ListenError
   */
  async listen(role: RoleParts): Promise<Web> {
    const { settings, clock, log } = this;
    const damage = new FoundDamage(this.store, (record) => this.corrupt.note(record));
    const head = new Head({
      clock,
      windowMs: HEAD_WINDOW,
      tileFrames: KEY_FRAME_EVERY,
      outOfOrderWindow: this.outOfOrderWindow,
      onTileClosed: (ref, tile) => role.tiles?.onClosed(ref, tile),
      onTileCorrupt: (ref, meta, block) => damage.tile(ref, meta, block),
      onBlockCorrupt: (ref, meta) => damage.block(ref, meta),
      onFramesLost: (ref, gap) => this.foundGaps.name(ref, gap),
      tileSource: role.tiles?.source ?? null,
      maxSeries: SERIES_MAX,
    });
    this.#head = head;
    sayKernels(log);
    const { world, store } = this;
    const { view, deletions, admin } = openAdministration({
      ...{ settings, world, store, head, clock, log },
      backup: this.#backup,
    });
    this.deletions = deletions;
    const engine = this.#openEngine(view);
    const { register } = role;
    const doors = makeDoors(this, { head, engine, view, admin, register, seriesMax: SERIES_MAX });
    const listening = await this.world.listen(doors, settings, log);
    this.listening = listening;
    this.life.add('the HTTP server', () => listening.close());
    log('info', 'listening', { address: listening.address });
    return doors.handler;
  }
}

/** A token that cannot be read is found at the start, not by the first leaf. */
async function checkTokenFile(settings: Settings): Promise<void> {
  try {
    await tokenReader(settings.tokenFile)();
  } catch (error) {
    throw new CanopyError('config_invalid', errorText(error));
  }
}

function clusterLabel(settings: Settings): Record<string, string> {
  return settings.cluster === undefined ? {} : { cluster: settings.cluster };
}
