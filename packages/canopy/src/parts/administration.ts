/** What `/api/v1/admin/tsdb/*` does. */
import { join } from 'node:path';
import { ErasedView, type Head } from '@canopy/head';
import { CanopyError, type Clock, type Store } from '@canopy/model';
import { parseSelector } from '@canopy/promql';
import type { Admin } from '@canopy/web';
import type { Settings } from '../cli/settings.js';
import type { Log } from '../log.js';
import { Deletions } from './deletions.js';
import type { OpenedStore, World } from './world.js';

export interface AdministrationOptions {
  readonly settings: Settings;
  readonly world: Pick<World, 'randomBytes'>;
  readonly store: Store;
  readonly head: Head;
  readonly clock: Clock;
  readonly log: Log;
  readonly backup: OpenedStore['backup'];
}

/** What is left of the head to see, and who changes that; `admin` null where that is not enabled. */
export function openAdministration(options: AdministrationOptions): {
  view: ErasedView;
  deletions: Deletions;
  admin: Admin | null;
} {
  const { settings, head } = options;
  const view = new ErasedView(head);
  const retention = settings.role === 'leaf' ? settings.journalRetention : settings.retentionRaw;
  const deletions = new Deletions({ ...options, view, retention, parseSelector });
  return { view, deletions, admin: settings.enableAdminApi ? adminOf(options, deletions) : null };
}

function adminOf(options: AdministrationOptions, deletions: Deletions): Admin {
  const { settings, log, backup } = options;
  return {
    async snapshot() {
      if (backup === undefined) {
        throw new CanopyError('unavailable', 'the samples are in Redis: take its own (BGSAVE)');
      }
      const name = snapshotName(options);
      const folder = join(settings.storagePath, 'snapshots', name);
      await backup(folder);
      log('info', 'snapshot taken', { folder });
      return name;
    },
    async deleteSeries(selectors, start, end) {
      await deletions.delete(selectors, start, end);
      log('info', 'series deleted', { match: selectors, start, end });
    },
    cleanTombstones: () => deletions.clean(),
  };
}

/** As Prometheus names them: `20171210T211224Z-2be650b6d019eb54`. */
function snapshotName({ clock, world }: AdministrationOptions): string {
  const time = new Date(clock.now()).toISOString().replace(/[-:]|\.\d+/g, '');
  return `${time}-${Buffer.from(world.randomBytes(8)).toString('hex')}`;
}
