/** Announces this process to `--parent`. */
import { Announcer } from '@canopy/federation';
import { type DurationMs, labelsToObject } from '@canopy/model';
import type { JournalWriter } from '@canopy/store';
import type { LifeCycle } from '../life-cycle.js';
import type { CanopyProcess } from './process.js';

const SECOND = 1000;
const ANNOUNCE_EVERY = (30 * SECOND) as DurationMs;
/** Well within the time that a part has to stop. */
const LEAVE_TIMEOUT = (1.5 * SECOND) as DurationMs;

export function startAnnouncing(
  process: CanopyProcess,
  journal: JournalWriter,
  life: LifeCycle,
): void {
  const { settings } = process;
  if (settings.parentUrl === undefined) return;
  const announcer = new Announcer({
    clock: process.clock,
    parentUrl: settings.parentUrl,
    announcement: () => ({
      name: settings.name,
      url: settings.externalUrl,
      journal: journal.id,
      role: settings.role,
      labels: labelsToObject(process.externalLabels(process.config)),
    }),
    readTokens: process.readTokens,
    send: (...request) => process.world.sendJson(process.config.federationHttp)(...request),
    interval: ANNOUNCE_EVERY,
    backoffMax: ANNOUNCE_EVERY,
    timeout: (5 * SECOND) as DurationMs,
    leaveTimeout: LEAVE_TIMEOUT,
    log: process.log,
  });
  announcer.start();
  process.announcer = announcer;
  process.configuration.onReloaded = () => announcer.announceNow();
  life.add('the announcer', () => announcer.stop());
}
