/**
 * Which source may hand over which journal, and what may stand in it (decision 0018).
 */
import { decodeLayout, entryPayload } from '@canopy/encoding';
import {
  CanopyError,
  EntryKind,
  FormatError,
  type JournalEntry,
  type JournalId,
  type JournalRef,
  type Labels,
  type Ledger,
  type Store,
  asRecord,
  isJournalRef,
  journalIdOf,
  readRemade,
} from '@canopy/model';
import type { GroupJobs } from './group-jobs.js';

/** What a source may hand over. */
export interface SourceTrust {
  /** The journal it announced; undefined: nobody announced it, its own pages say which one is its own. */
  readonly journal: JournalId | undefined;
  /** It may pass on journals of others. */
  readonly relays: boolean;
  /** Label → values that series may have; other labels, and series without the label, are free. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
}

export const TRUSTED: SourceTrust = { journal: undefined, relays: true, labels: new Map() };

/** `skipped`: its home hands it over. */
export type Passage = 'taken' | 'skipped';

/** What is known of the source that is the home of a journal. */
export interface HomeState {
  /** It hands over pages at present. */
  isHeard(url: string): boolean;
  /** Its newest page, if there is one, told of the journal. */
  has(url: string): boolean;
}

const DOCUMENT = 'journal-homes';

/**
 * Home of a journal, or of the view of it through one filter: the source that announced it, else the first one that handed it
 * over as its own. Kept in the store, so that a restart is no chance for another.
 */
export class JournalHomes {
  readonly #store: Pick<Store, 'getDocument' | 'putDocument'>;
  readonly #homesMax: number;
  readonly #read: (text: string | undefined) => Map<JournalRef, string> | undefined;
  #homes: Map<JournalRef, string> | undefined;

  /** `read`: of the stored document; undefined begins anew. */
  constructor(
    store: Pick<Store, 'getDocument' | 'putDocument'>,
    homesMax: number,
    read: (text: string | undefined) => Map<JournalRef, string> | undefined,
  ) {
    this.#store = store;
    this.#read = read;
    this.#homesMax = homesMax;
  }

  /**
   * Whether the source at `url`, whose own journal is `own`, may hand over `ref`.
   * @throws CanopyError `forbidden`: nothing of its page is to be taken.
   */
  async passage(
    url: string,
    own: JournalId | undefined,
    ref: JournalRef,
    trust: SourceTrust,
    home: HomeState,
  ): Promise<Passage> {
    const homes = (this.#homes ??=
      this.#read(await readRemade(this.#store, DOCUMENT)) ?? new Map());
    // A leaf has a view only where it was asked for one.
    if (!trust.relays && isView(ref) && !url.includes('match')) {
      throw new CanopyError('forbidden', `journal ${ref} is a view that nobody asked for`);
    }
    const at = homes.get(ref);
    if (at === url) return 'taken';
    const isTaken = at !== undefined && home.isHeard(at);
    if (journalIdOf(ref) === own) {
      if (isTaken && trust.journal === undefined) {
        throw new CanopyError('forbidden', `journal ${ref} is that of ${at}`);
      }
      await this.#settle(homes, ref, url);
      return 'taken';
    }
    if (!trust.relays) {
      throw new CanopyError('forbidden', `journal ${ref} is another's, and not to be passed on`);
    }
    // A leaf that has lost its disk goes on as another journal: what others have of the old one they alone have.
    return isTaken && home.has(at) ? 'skipped' : 'taken';
  }

  async #settle(homes: Map<JournalRef, string>, ref: JournalRef, url: string): Promise<void> {
    const next = new Map(homes).set(ref, url);
    const [oldest] = next.keys();
    if (next.size > this.#homesMax) next.delete(oldest);
    await this.#store.putDocument(DOCUMENT, JSON.stringify(Object.fromEntries(next)));
    this.#homes = next;
  }
}

const isView = (ref: JournalRef): boolean => (ref as string) !== journalIdOf(ref);

/** @throws FormatError for JSON of another shape. */
export function homesOf(json: unknown): Map<JournalRef, string> {
  const homes = new Map<JournalRef, string>();
  for (const [ref, url] of Object.entries(asRecord(json))) {
    if (!isJournalRef(ref) || typeof url !== 'string') throw new FormatError('not a home');
    homes.set(ref, url);
  }
  return homes;
}

/** Over it the oldest ones are forgotten; what comes of them is then not decodable. */
const FORGED_MAX = 10_000;

/** A group found to say of itself what its source may not say. */
export interface Forgery {
  readonly group: number;
  readonly label: string;
  readonly value: string;
}

export interface Sifted {
  readonly kept: readonly JournalEntry[];
  /** Frames left out, by job. */
  readonly refused: ReadonlyMap<string, number>;
  /** Groups left out for the first time. */
  readonly found: readonly Forgery[];
}

/**
 * Leaves out the groups that hold a forged label, whole; looks at layouts only, once each. Which groups they are is kept in
 * `ledger`, for frames that come later tell nothing of labels.
 */
export function withoutForged(
  entries: readonly JournalEntry[],
  labels: SourceTrust['labels'],
  ledger: Ledger,
  jobs: Pick<GroupJobs, 'of'>,
): Sifted {
  const known = ledger.forged;
  const refused = new Map<string, number>();
  const found: Forgery[] = [];
  if (labels.size === 0 && known === undefined) return { kept: entries, refused, found };
  let epoch = known?.epoch ?? 0;
  let groups = new Map(known?.groups);
  const kept = entries.filter((entry) => {
    if (entry.kind === EntryKind.gap) return true;
    if (entry.epoch !== epoch) {
      epoch = entry.epoch;
      groups = new Map();
    }
    if (entry.kind === EntryKind.layout && !groups.has(entry.group)) {
      const forgery = forgeryIn(entry, labels);
      if (forgery !== undefined) {
        groups.set(entry.group, jobs.of(entry).job);
        found.push(forgery);
      }
    }
    const job = groups.get(entry.group);
    if (job === undefined) return true;
    if (entry.kind === EntryKind.frame) refused.set(job, (refused.get(job) ?? 0) + 1);
    return false;
  });
  if (groups.size > 0) ledger.forged = { epoch, groups: [...groups].slice(-FORGED_MAX) };
  else delete ledger.forged;
  return { kept, refused, found };
}

function forgeryIn(entry: JournalEntry, rules: SourceTrust['labels']): Forgery | undefined {
  if (rules.size === 0) return undefined;
  let layout: ReturnType<typeof decodeLayout>;
  try {
    layout = decodeLayout(entryPayload(entry));
  } catch (error) {
    // Nobody can read it: the appender counts that.
    if (error instanceof FormatError) return undefined;
    throw error;
  }
  for (const labels of [layout.meta.target, ...layout.slots.map((slot) => slot.labels)]) {
    const forged = forgedLabel(labels, rules);
    if (forged !== undefined) return { group: entry.group, ...forged };
  }
  return undefined;
}

/** The first label that says what `rules` do not allow. */
export function forgedLabel(
  labels: Labels,
  rules: SourceTrust['labels'],
): { label: string; value: string } | undefined {
  for (let index = 0; index < labels.length; index += 2) {
    const value = labels[index + 1];
    const allowed = rules.get(labels[index]);
    if (allowed !== undefined && !allowed.has(value)) return { label: labels[index], value };
  }
  return undefined;
}
