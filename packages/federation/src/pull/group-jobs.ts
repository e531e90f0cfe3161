/** To which job the groups of one journal belong: what the ledger counts frames by. */
import { decodeLayoutMeta, entryPayload } from '@canopy/encoding';
import {
  EntryKind,
  type Epoch,
  FormatError,
  type GroupId,
  type GroupMeta,
  type JournalEntry,
  labelValue,
} from '@canopy/model';

export interface JobOfGroup {
  readonly job: string;
  readonly isAligned: boolean;
}

/** Groups remembered; over it all are forgotten, and asked for again. */
const GROUPS_MAX = 100_000;
const UNKNOWN: JobOfGroup = { job: '', isAligned: false };

export class GroupJobs {
  readonly #metaOf: (epoch: Epoch, group: GroupId) => GroupMeta | undefined;
  readonly #byEpoch = new Map<Epoch, Map<GroupId, JobOfGroup>>();
  #count = 0;

  /** `metaOf`: what is known of groups whose layouts came before. */
  constructor(metaOf: (epoch: Epoch, group: GroupId) => GroupMeta | undefined) {
    this.#metaOf = metaOf;
  }

  /** Reads what `entries` say of new groups; before `of` is asked about frames among them. */
  learn(entries: readonly JournalEntry[]): void {
    for (const entry of entries) {
      if (entry.kind !== EntryKind.layout || this.#known(entry) !== undefined) continue;
      try {
        this.#note(entry.epoch, entry.group, decodeLayoutMeta(entryPayload(entry)));
      } catch (error) {
        // The appender refuses it, too, and counts it.
        if (!(error instanceof FormatError)) throw error;
      }
    }
  }

  /** '' where nobody knows. */
  of({ epoch, group }: Pick<JournalEntry, 'epoch' | 'group'>): JobOfGroup {
    const known = this.#known({ epoch, group });
    if (known !== undefined) return known;
    const meta = this.#metaOf(epoch, group);
    return meta === undefined ? UNKNOWN : this.#note(epoch, group, meta);
  }

  #known({ epoch, group }: Pick<JournalEntry, 'epoch' | 'group'>): JobOfGroup | undefined {
    return this.#byEpoch.get(epoch)?.get(group);
  }

  #note(epoch: Epoch, group: GroupId, { target, kind }: GroupMeta): JobOfGroup {
    if (++this.#count > GROUPS_MAX) {
      this.#byEpoch.clear();
      this.#count = 1;
    }
    let groups = this.#byEpoch.get(epoch);
    if (groups === undefined) this.#byEpoch.set(epoch, (groups = new Map()));
    const noted = { job: labelValue(target, 'job'), isAligned: kind === 'aligned' };
    groups.set(group, noted);
    return noted;
  }
}
