/** Where what a head holds comes from. */
import type { Epoch, GroupId, GroupMeta, JournalRef } from '@canopy/model';
import type { JournalGroups } from './journal-groups.js';

export class Provenance {
  readonly #journals: ReadonlyMap<JournalRef, JournalGroups>;

  constructor(journals: ReadonlyMap<JournalRef, JournalGroups>) {
    this.#journals = journals;
  }

  /** What a group's layout says of it; undefined where the head has none. */
  groupOf(ref: JournalRef, epoch: Epoch, group: GroupId): GroupMeta | undefined {
    return this.#journals.get(ref)?.find(epoch, group)?.meta;
  }
}
