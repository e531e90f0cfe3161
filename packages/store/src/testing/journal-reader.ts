/** Reads a journal back as a parent's head would, for tests: everything must decode. */
import {
  EntryKind,
  type GapRecord,
  JOURNAL_START,
  type JournalEntry,
  type JournalRef,
  type LayoutRecord,
  SampleState,
  type Store,
  labelValue,
} from '@canopy/model';
import {
  FrameDecoder,
  decodeGap,
  decodeLayout,
  entryPayload,
  frameLayoutVersion,
} from '@canopy/encoding';

export interface ReadJournal {
  /** `<job> <time> <series>=<value or stale> …`, in journal order; times less `baseTime`. */
  readonly frames: string[];
  readonly gaps: GapRecord[];
  readonly layouts: LayoutRecord[];
  readonly keyFrames: number;
  /** Frames that could not be decoded for want of a key frame or a layout. */
  readonly undecodable: number;
}

interface Group {
  readonly decoder: FrameDecoder;
  readonly layouts: LayoutRecord[];
  keyed: boolean;
}

export async function readJournal(
  store: Store,
  ref: JournalRef,
  baseTime: number,
): Promise<ReadJournal> {
  const entries = await store.readEntries(ref, JOURNAL_START, { maxBytes: 1e9, maxEntries: 1e9 });
  const groups = new Map<string, Group>();
  const groupOf = ({ epoch, group }: JournalEntry): Group => {
    const key = `${epoch}/${group}`;
    const known = groups.get(key);
    if (known !== undefined) return known;
    const made: Group = { decoder: new FrameDecoder(), layouts: [], keyed: false };
    groups.set(key, made);
    return made;
  };
  const result = {
    frames: [] as string[],
    gaps: [] as GapRecord[],
    layouts: [] as LayoutRecord[],
    keyFrames: 0,
    undecodable: 0,
  };
  for (const entry of await store.readLayouts(ref)) {
    const layout = decodeLayout(entryPayload(entry));
    groupOf(entry).layouts.push(layout);
    result.layouts.push(layout);
  }
  for (const entry of entries) {
    if (entry.kind === EntryKind.gap) result.gaps.push(decodeGap(entryPayload(entry)));
    if (entry.kind !== EntryKind.frame) continue;
    if (entry.key) result.keyFrames++;
    const group = groupOf(entry);
    group.keyed ||= entry.key;
    const payload = entryPayload(entry);
    if (!group.keyed || group.layouts.length < frameLayoutVersion(payload)) {
      result.undecodable++;
      continue;
    }
    result.frames.push(describeFrame(entry, group, payload, baseTime));
  }
  return result;
}

function describeFrame(
  entry: JournalEntry,
  { decoder, layouts }: Group,
  payload: Uint8Array,
  baseTime: number,
): string {
  const names = layouts.flatMap(({ slots }) =>
    slots.map(({ labels }) => labelValue(labels, '__name__')),
  );
  const job = labelValue(layouts[0].meta.target, 'job');
  const parts: string[] = [];
  const say = (state: number, value: number): string =>
    state === SampleState.stale ? 'stale' : `${value}`;
  if (layouts[0].meta.kind === 'loose') {
    const { count, slots, times, states, values } = decoder.decodeLoose(payload, entry.time);
    for (let i = 0; i < count; i++) {
      parts.push(`${names[slots[i]]}@${times[i] - baseTime}=${say(states[i], values[i])}`);
    }
  } else {
    const { slotCount, states, values } = decoder.decodeAligned(payload, entry.key);
    for (let i = 0; i < slotCount; i++) {
      if (states[i] !== SampleState.none) parts.push(`${names[i]}=${say(states[i], values[i])}`);
    }
  }
  return [job, entry.time - baseTime, ...parts].join(' ');
}
