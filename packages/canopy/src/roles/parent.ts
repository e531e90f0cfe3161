/**
 * A parent: pages from leaves → store → head → tiles to the store → answers for all clusters.
 * It also scrapes what its configuration lists, and is a leaf to its own parent. Of several parents on one
 * store one does that; the others follow the store and answer (parts/leadership.ts).
 */
import { FramePuller, JOURNALS_MAX, LeafRegistry } from '@canopy/federation';
import {
  CanopyError,
  type DurationMs,
  JOURNAL_START,
  type JournalRef,
  type JournalState,
  parseLedger,
} from '@canopy/model';
import { type WebTotals, clientNames } from '@canopy/web';
import type { Settings } from '../cli/settings.js';
import { DEFAULT_SCRAPE_TIMEOUT } from '../config/schema.js';
import { LifeCycle } from '../life-cycle.js';
import type { Log } from '../log.js';
import { startAnnouncing } from '../parts/announcing.js';
import { buildAnew, doubtWhatIsLess } from '../parts/fallen-store.js';
import { Follower } from '../parts/follower.js';
import { hasUntoldGaps } from '../parts/found-gaps.js';
import { Leadership } from '../parts/leadership.js';
import { LEAF_JOB, LeafDiscovery, leafJob, PAGE_BYTES_MAX } from '../parts/leaf-discovery.js';
import { leafOf, trustOf, withLoss } from '../parts/leaf-trust.js';
import { storeAnswers } from '../parts/open-store.js';
import { openOwnJournal } from '../parts/own-journal.js';
import {
  CanopyProcess,
  HEAD_WINDOW,
  LEASE_RENEW_EVERY,
  LEASE_TTL,
  PART_STOP_MS,
} from '../parts/process.js';
import { recoverHead } from '../parts/recovery.js';
import { SamplesAtRest } from '../parts/samples-at-rest.js';
import { startRemoteWrite } from '../parts/remote-write.js';
import { SealedSource } from '../parts/sealed-source.js';
import { startScraping } from '../parts/scraping.js';
import { bindMetrics } from '../parts/self-metrics.js';
import { startServing } from '../parts/serving.js';
import { hierarchyStatus } from '../parts/status.js';
import { TileKeeper } from '../parts/tile-keeper.js';
import { UnheardJournals } from '../parts/unheard-journals.js';
import { Warming } from '../parts/warming.js';
import type { World } from '../parts/world.js';

const LOST_AFTER = (5 * 60_000) as DurationMs;
/** Tiles of the head's window that come back into memory after a start. */
const WARM_BYTES_MAX = 1024 * 1024 * 1024;
/** After so many intervals without a page no source is waited for with what the store lost; at most for so long. */
const UNHEARD_PULLS = 3;
const UNHEARD_MS_MAX = 60_000;
/** Several parts, each with its own share of time. */
const TERM_STOP_MS = 8000;
/** How far a standby's answers lag behind the store. */
const FOLLOW_EVERY = 2000 as DurationMs;

/** The parts of a parent that are there for as long as the process. */
interface Parts {
  readonly process: CanopyProcess;
  readonly registry: LeafRegistry;
  readonly tiles: TileKeeper;
  readonly rest: SamplesAtRest;
  readonly follower: Follower;
  readonly unheard: UnheardJournals;
  readonly leadership: Leadership;
  readonly warming: Warming;
}

/** Brings a parent up. Resolves when it listens; `up` when it answers. */
export async function startParent(
  settings: Settings,
  log: Log,
  world: World,
): Promise<{ process: CanopyProcess; up: (signal: AbortSignal) => Promise<void> }> {
  const process = await CanopyProcess.open(settings, log, world);
  const { store, clock, owner } = process;
  const registry = makeRegistry(process, () => parts.leadership);
  const tiles = makeTileKeeper(process);
  const rest = new SamplesAtRest(process, tiles);
  const unheard = makeUnheard(process);
  const follower = new Follower({
    ...{ store, log, clock, every: FOLLOW_EVERY },
    head: () => process.head,
    onLevel: (state) => {
      process.watermarks.note(state.ref, parseLedger(state.ledger).watermark);
      unheard.level(state);
    },
    onRebuild: (ref) => {
      process.watermarks.goBack(ref, 0);
      tiles.forget(ref);
      rest.blocks.forget(ref);
    },
    onRebuilt: () => warming.start(),
  });
  const warming = makeWarming(process);
  /** Tiles closed by a head that follows are written by the parent it follows. */
  let term: LifeCycle | undefined;
  const web = await process.listen({
    tiles: {
      source: new SealedSource(store),
      onClosed: (ref, tile) => (term === undefined ? follower : tiles).add(ref, tile),
    },
    register: (req, res) => registry.handle(req, res),
  });
  const leadership = new Leadership({
    ...{ store, owner, log, clock, ttl: LEASE_TTL, every: LEASE_RENEW_EVERY },
    lead: async () => {
      await takeOver(parts);
      term = new LifeCycle(log, clock, PART_STOP_MS);
      for (const [ref, tile] of follower.takeClosed()) tiles.add(ref, tile);
      await beginTerm(parts, term);
    },
    follow: async (heldBy) => {
      await term?.stop();
      term = undefined;
      for (const { ref, tile } of await tiles.giveUp()) follower.add(ref, tile);
      log('info', 'standby: answers from a store that another parent writes', { heldBy });
      follower.start();
    },
  });
  const parts: Parts = {
    ...{ process, registry, tiles, rest, follower, unheard, leadership, warming },
  };

  describe(parts, settings, () => web.totals);
  const endTerm = async () => void (await term?.stop());
  return { process, up: (signal) => bringUp(parts, endTerm, signal) };
}

/** What the process says of itself, by its pages and metrics. */
function describe(parts: Parts, settings: Settings, web: () => WebTotals): void {
  const { process, registry, tiles, leadership, warming } = parts;
  const { blocks, retention } = parts.rest;
  const { clock, head, pulse, configuration } = process;
  process.describeTarget = (target) => withLoss(registry, target);
  process.remark = () =>
    [standbyRemark(parts), warming.text].filter((text) => text !== '').join('; ');
  process.hierarchy = () =>
    hierarchyStatus({
      ...{ clock, settings, configuration, head, pulse, registry },
      puller: process.puller,
      untoldGaps: (ref) => process.foundGaps.of(ref),
      ...{ rate: process.rate, startTime: process.startTime, remark: process.remark },
      targets: () => process.scraping?.active() ?? [],
      journal: () => process.journal,
      announcer: () => process.announcer?.state,
      listening: () => process.listening,
    });
  bindMetrics(process.metrics, {
    ...{ settings, head, pulse, tiles, blocks, retention, configuration, web },
    volatile: undefined,
    listening: () => process.listening,
    registry,
    puller: () => process.puller,
    frames: () => process.frames,
    deletions: () => process.deletions,
    scrapes: () => process.scraping?.totals,
    remoteWrite: () => process.remoteWrite?.totals,
    engine: process.engine,
    journal: () => process.journal,
    corruptRecords: () => process.corrupt.count,
    trimmedBytes: () => tiles.stats.trimmedBytes,
    isStandby: () => process.notReady === '' && !leadership.leads,
    hierarchy: () => process.hierarchy(),
  });
}

async function bringUp(
  parts: Parts,
  endTerm: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { process, registry, follower, unheard, leadership, warming } = parts;
  const { store, clock, head, log, life, pulse } = process;
  process.notReady = 'waiting for the store';
  await storeAnswers(store, clock, log, signal);
  await process.deletions?.load();
  process.notReady = 'recovering';
  await recoverHead({
    ...{ store, head, log },
    onProgress: (text) => (process.notReady = text),
  });
  await registry.load();
  const beat = async () => {
    process.rate.tick(clock.monotonic());
    await pulse.beat();
    await doubtWhatIsLess(pulse.states, process);
    forgetGone(process);
    await (leadership.leads ? registry.keep() : registry.load());
    await process.deletions?.follow();
  };
  await beat();
  for (const state of pulse.states.values()) unheard.level(state);
  life.add('the lease on the store', () => leadership.stop());
  life.add('following', () => follower.stop());
  life.add('writing', endTerm, TERM_STOP_MS);
  await leadership.start();
  const stopHousekeeping = process.world.startHousekeeping(
    [
      { name: 'readings', when: '*/5 * * * * *', run: beat },
      { name: 'collisions', when: '*/5 * * * * *', run: () => process.noteCollisions() },
      { name: 'expiry', when: '30 * * * * *', run: () => void head.expire(clock.now()) },
    ],
    log,
  );
  life.add('housekeeping', stopHousekeeping);
  life.add('warming', () => warming.stop());
  warming.start();
  process.notReady = '';
  log('info', 'ready', { leaves: registry.leaves().length, standby: !leadership.leads });
}

/** A leaf that left is not one that is lost. */
function forgetGone({ puller, scraping }: CanopyProcess): void {
  if (scraping === undefined) return;
  puller?.retain(new Set(scraping.active().map(({ scrapeUrl }) => scrapeUrl)));
}

/** Nobody else writes any journal after this, and the head has whatever the store has. */
async function takeOver({ process, registry, follower }: Parts): Promise<void> {
  const { store, leases, log } = process;
  await follower.stop();
  const before = await store.journals();
  for (const { ref } of before) await leases.takeOver(ref);
  for (const { ref } of before) {
    const state = await store.journal(ref);
    if (state === undefined) continue;
    await follower.catchUp(state);
    if (follower.hasFollowed(ref)) await follower.compareTiles(state);
  }
  await registry.load();
  log('info', 'this parent writes the store from now on', { journals: before.length });
}

/** Starts what only the parent that writes does. `term` ends when another one does. */
async function beginTerm(parts: Parts, term: LifeCycle): Promise<void> {
  const { process, registry, tiles, leadership, follower, unheard } = parts;
  const { settings, leases } = process;
  const isLost = () => !leadership.leads;
  term.add('leases', () => (isLost() ? leases.forget() : leases.giveUp()));
  // What another had under way came through after the takeover.
  const journal = await openOwnJournal(process, {
    ...{ life: term, isLost },
    onFound: async (ref, state) => {
      if (state !== undefined) await follower.catchUpOthers([state], () => false);
      else if (await unheard.giveBackOwn(ref)) {
        await follower.rebuild(ref, await process.store.journal(ref));
        return true;
      }
      return false;
    },
  });
  // The head has what was committed; a store that is wiped when another one leads may get that from here.
  term.add('the own ledger', () => {
    const { ref, position, ledger } = journal;
    unheard.level({ ref, position, ledger: JSON.stringify(ledger) });
  });
  term.add('the last tiles', () => (isLost() ? undefined : tiles.write()));
  const puller = startPulling(parts, term);
  startServing(process, {
    journal,
    watermark: (ref) => (ref === journal.ref ? journal.watermark : puller.watermark(ref)),
    position: (ref) => (ref === journal.ref ? journal.position : puller.position(ref)),
    keptFor: () => settings.journalRetention,
    rememberReaders: true,
    life: term,
  });
  startRemoteWrite(process, journal, term);
  startScraping(process, {
    journal,
    jobsOf: ({ globalScrapeInterval: interval, scrapeConfigs, federationHttp }) => [
      leafJob(interval, Math.min(interval, DEFAULT_SCRAPE_TIMEOUT) as DurationMs, federationHttp),
      ...scrapeConfigs,
    ],
    discoveries: [{ jobName: LEAF_JOB, discovery: new LeafDiscovery(registry) }],
    pullFormat: puller,
    life: term,
  });
  startKeeping(parts, term);
  startAnnouncing(process, journal, term);
}

/** Tiles to the store, windows to blocks, old ones away. */
function startKeeping(parts: Parts, term: LifeCycle): void {
  const { process, tiles, rest, follower, unheard } = parts;
  const { world, log, pulse } = process;
  unheard.begin();
  const when = '*/5 * * * * *';
  const isOurs = (ref: JournalRef): boolean =>
    ref === process.journal?.ref || (process.puller?.knows(ref) ?? true);
  const chores = [
    {
      name: 'journals of others',
      when,
      run: () => follower.catchUpOthers(pulse.states.values(), isOurs),
    },
    { name: 'journals that no source gives', when, run: () => unheard.round(pulse.states) },
    { name: 'journals of which no page comes', when, run: () => process.puller?.settle() },
    { name: 'tiles', when, run: () => tiles.write() },
  ];
  const stopHousekeeping = world.startHousekeeping([...chores, ...rest.chores()], log);
  term.add('housekeeping of the store', stopHousekeeping);
}

function startPulling({ process, registry, follower }: Parts, term: LifeCycle): FramePuller {
  const { store, clock, owner, log, head } = process;
  const wentBack = async (ref: JournalRef, state: JournalState | undefined): Promise<void> => {
    log('warn', 'the store lost what it had of a journal; it is pulled again', {
      ...{ journal: ref, left: state?.position },
    });
    await follower.rebuild(ref, state);
    process.watermarks.note(ref, parseLedger(state?.ledger ?? '').watermark);
  };
  const puller = new FramePuller({
    ...{ store, owner, log, clock, appender: head },
    readerName: `${process.settings.name}@${process.world.hostname}`,
    leaseTtl: LEASE_TTL,
    groupOf: (ref, epoch, group) => head.provenance.groupOf(ref, epoch, group),
    ownJournals: () => new Set(process.journal === undefined ? [] : [process.journal.id]),
    onWatermark: (ref, time) => process.watermarks.note(ref, time),
    onLoaded: async (ref, state) => {
      if (state !== undefined) return follower.catchUp(state);
      // The store lost it before this process wrote there, or never had it.
      if (head.position(ref) !== undefined) await wentBack(ref, undefined);
    },
    onStoreWentBack: wentBack,
    pageBytesMax: PAGE_BYTES_MAX,
    journalsMax: JOURNALS_MAX,
    trust: (target) => trustOf(registry, process.settings.enforceLabels, target),
  });
  process.pullBy(puller);
  term.add('leases of pulled journals', async () => {
    await puller.close();
    process.puller = undefined;
    process.foundGaps.takeFrom(puller);
  });
  return puller;
}

function makeTileKeeper(process: CanopyProcess): TileKeeper {
  const { store, leases, log } = process;
  return new TileKeeper({
    ...{ store, leases, log },
    head: () => process.head,
    onWentBack: (ref) => buildAnew(process, ref),
    hasUntoldGaps: (ref) => hasUntoldGaps(process, ref),
    // Before pages are served, and after, nobody knows who reads.
    oldestReader: (ref) =>
      process.frames === undefined ? JOURNAL_START : process.frames.oldestReader(ref),
  });
}

function makeUnheard(process: CanopyProcess): UnheardJournals {
  const { store, clock, leases, log } = process;
  const pulls = (): number => UNHEARD_PULLS * process.config.globalScrapeInterval;
  return new UnheardJournals({
    ...{ store, clock, leases, log, lostAfter: LOST_AFTER },
    head: () => process.head,
    puller: () => process.puller,
    isOwn: (ref) => ref === process.journal?.ref,
    patience: () => Math.min(pulls(), UNHEARD_MS_MAX) as DurationMs,
  });
}

function makeWarming(process: CanopyProcess): Warming {
  const { store, clock, log } = process;
  return new Warming({
    ...{ store, log, clock, window: HEAD_WINDOW, bytesMax: WARM_BYTES_MAX },
    head: () => process.head,
  });
}

/** A standby takes no announcement of a leaf that it does not know: it could not keep it. */
function makeRegistry(process: CanopyProcess, leadership: () => Leadership): LeafRegistry {
  const { store, clock, settings, log } = process;
  const registry: LeafRegistry = new LeafRegistry({
    ...{ clock, log },
    store: {
      getDocument: (name) => store.getDocument(name),
      putDocument: (name, text) => {
        if (leadership().leads) return store.putDocument(name, text);
        const message = `this parent is on standby: announce to ${leadership().heldBy}`;
        return Promise.reject(new CanopyError('storage_unavailable', message));
      },
    },
    readTokens: process.readTokens,
    clientNames: (req) => clientNames(req.socket),
    isHeard: (url) => isPulled(process, registry, url),
    isOwn: ({ url, journal }) => url === settings.externalUrl || journal === process.journal?.id,
    leavesMax: settings.leavesMax,
    changesPerMinuteMax: settings.registrationsPerMinuteMax,
    lostAfter: LOST_AFTER,
  });
  return registry;
}

/** Whether the leaf announced at `url` answered when it was asked last. */
function isPulled({ scraping }: CanopyProcess, registry: LeafRegistry, url: string): boolean {
  const targets = scraping?.active() ?? [];
  return targets.some(
    ({ scrapeUrl, labels, health }) =>
      health === 'up' && leafOf(registry, scrapeUrl, labels)?.url === url,
  );
}

/** For people; '' while this parent writes the store. */
function standbyRemark({ leadership, follower }: Parts): string {
  if (leadership.leads) return '';
  const lag = `up to ${(follower.behindMs / 1000).toFixed(0)} s behind the store`;
  const trouble =
    follower.failure === '' ? '' : `; the store cannot be followed: ${follower.failure}`;
  return `standby, ${leadership.heldBy || 'another parent'} writes the store; answers are ${lag}${trouble}`;
}
