/** Serves the journals of the store, page by page, to those above. */
import { FrameServer } from '@canopy/federation';
import type { DurationMs, JournalPosition, JournalRef } from '@canopy/model';
import { parseSelector } from '@canopy/promql';
import type { JournalWriter } from '@canopy/store';
import type { LifeCycle } from '../life-cycle.js';
import type { CanopyProcess } from './process.js';
import { reportOf } from './status.js';

export interface ServingOptions {
  readonly journal: JournalWriter;
  watermark(ref: JournalRef): number;
  position(ref: JournalRef): JournalPosition | undefined;
  keptFor(ref: JournalRef): DurationMs;
  /** Its journals are cut behind the last reader. */
  readonly rememberReaders: boolean;
  readonly life: LifeCycle;
}

export function startServing(process: CanopyProcess, options: ServingOptions): FrameServer {
  const { settings, store, log } = process;
  const frames = new FrameServer({
    store,
    clock: process.clock,
    name: settings.name,
    ownJournal: options.journal.id,
    cursorKey: options.journal.cursorKey,
    commitOwn: () => options.journal.commitForReader(),
    breakEpoch: (above) => options.journal.breakEpoch(above),
    report: () => reportOf(process.hierarchy()),
    watermark: options.watermark,
    position: options.position,
    trail: (ref) => process.puller?.ledgerOf(ref)?.trail ?? [],
    keptFor: options.keptFor,
    get reorder() {
      const timeouts = process.config.scrapeConfigs.map((job) => job.scrapeTimeout as number);
      return Math.max(10_000, ...timeouts) as DurationMs;
    },
    parseSelector,
    pageBytes: settings.pageBytesMax,
    pageTime: 200 as DurationMs,
    concurrentPullsMax: 16,
    readersMax: 64,
    readerTtl: (settings.journalRetention || 86_400_000) as DurationMs,
    rememberReaders: options.rememberReaders,
    viewsMax: 64,
    viewBytesMax: 128 * 1024 * 1024,
    log,
  });
  process.frames = frames;
  options.life.add('pages', () => {
    process.frames = undefined;
  });
  return frames;
}
