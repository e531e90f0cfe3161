/** Takes remote writes into the own journal, where `--web.enable-remote-write-receiver` says so. */
import { RemoteWriteReceiver } from '@canopy/federation';
import type { DurationMs } from '@canopy/model';
import type { JournalWriter } from '@canopy/store';
import { clientNames } from '@canopy/web';
import type { LifeCycle } from '../life-cycle.js';
import { rulesOfWriter } from './leaf-trust.js';
import type { CanopyProcess } from './process.js';

const MIB = 1024 * 1024;
const SERIES_MAX = 1_000_000;
const REQUESTS_AT_ONCE = 64;
/** Senders give up after 30 s by default, and should hear why before. */
const SYNC_TIMEOUT = 20_000 as DurationMs;
const IDLE = (60 * 60_000) as DurationMs;

export function startRemoteWrite(
  process: CanopyProcess,
  journal: JournalWriter,
  life: LifeCycle,
): void {
  if (!process.settings.enableRemoteWriteReceiver) return;
  const receiver = new RemoteWriteReceiver({
    clock: process.world.clock,
    journal,
    trouble: () => (journal.health.healthy ? '' : journal.health.message),
    framesDropped: () => journal.stats.framesDropped,
    rules: (req) =>
      rulesOfWriter(req, process.settings.enforceLabels, {
        readTokens: process.readTokens,
        clientNames: ({ socket }) => clientNames(socket),
      }),
    outOfOrderWindow: () => process.outOfOrderWindow,
    seriesMax: SERIES_MAX,
    bodyBytesMax: 16 * MIB,
    messageBytesMax: 64 * MIB,
    concurrentMax: REQUESTS_AT_ONCE,
    syncTimeout: SYNC_TIMEOUT,
    idle: IDLE,
    log: process.log,
  });
  process.remoteWrite = receiver;
  life.add('remote writes', () => {
    receiver.close();
    process.remoteWrite = undefined;
  });
}
