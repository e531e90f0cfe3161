import { describe, expect, it } from 'vitest';
import { EntryKind, type GroupId, type Milliseconds, asTime } from '@canopy/model';
import { encodeEntry } from '@canopy/encoding';
import { gapRecord } from './group-columns.js';
import { type FrameOwner, type QueuedRecord, RecordQueue } from './record-queue.js';

class Owner implements FrameOwner {
  readonly group: GroupId;
  lastSentTime: Milliseconds | undefined = asTime(0);
  readonly isAligned = true;
  readonly job = 'a';
  dropped = '';

  constructor(group: GroupId) {
    this.group = group;
  }
  framesDropped(_group: GroupId, from: Milliseconds, count: number): void {
    this.dropped = `${count} after ${from}`;
  }
  gapBetween(group: GroupId, from: Milliseconds, to: Milliseconds, frames: number): QueuedRecord {
    return gapRecord(group, from, to, 'refused', frames, this);
  }
}

/** `a3!` is the key frame of group a at time 3; `La` its layout. All records have the same size. */
function queueOf(text: string): { queue: RecordQueue; owners: Owner[]; size: number } {
  const owners = [new Owner(1), new Owner(2)];
  const queue = new RecordQueue();
  let size = 0;
  for (const word of text.split(' ')) {
    const layout = word.startsWith('L');
    const owner = owners['ab'.indexOf(layout ? word[1] : word[0])];
    const kind = layout ? EntryKind.layout : EntryKind.frame;
    const time = asTime(layout ? 0 : Number.parseInt(word.slice(1), 10));
    const key = word.endsWith('!');
    const fields = { epoch: 0, sequence: 0, kind, group: owner.group, time, key };
    const entry = encodeEntry(fields, new Uint8Array(50));
    size = entry.bytes.length;
    const scraped = { job: 'a', scrape: '' };
    queue.push({ entry, samples: 1, gap: undefined, ...scraped, writer: owner });
  }
  return { queue, owners, size };
}

function describeRecords(records: readonly QueuedRecord[]): string {
  return records
    .map(({ entry: { kind, group, time, key }, gap }) => {
      const name = 'ab'[group - 1];
      if (kind === EntryKind.layout) return `L${name}`;
      if (gap !== undefined) return `${name}[${gap.from}-${gap.to}:${gap.frames}]`;
      return `${name}${time}${key ? '!' : ''}`;
    })
    .join(' ');
}

describe('RecordQueue', () => {
  /** Drops about `count` records; what is left, and what the writers of a and b were told. */
  const check = (text: string, count: number, left: string, told: string[] = ['', '']): void => {
    const { queue, owners, size } = queueOf(text);
    const frames = (words: string): number =>
      words.split(' ').filter((w) => /^[ab]\d/.test(w)).length;
    const dropped = queue.dropOldest(count * size).length;
    const bytes = queue.bytes;
    const records = queue.take(1e9);
    expect(describeRecords(records)).toBe(left);
    expect(owners.map((owner) => owner.dropped)).toEqual(told);
    expect(dropped).toBe(frames(text) - frames(left));
    expect(bytes).toBe(records.reduce((sum, { entry }) => sum + entry.bytes.length, 0));
    expect(queue.bytes).toBe(0);
  };

  it('drops the oldest frames and all that build on them', () => {
    check('a1! a2 a3', 0, 'a1! a2 a3');
    check('a1! a2 a3! a4', 1, 'a[0-3:2] a3! a4');
    check('a1! a2 a3! a4', 3, '', ['4 after 0', '']);
    check('a1! a2 a3', 1, '', ['3 after 0', '']);
    check('a1! b1! a2 b2! a3! b3', 1, 'b1! b2! a[0-3:2] a3! b3');
    check('a1! b1! a2 b2 a3! b3', 2, 'a[0-3:2] a3!', ['', '3 after 0']);
    check('a1 b1 a2! b2', 1, 'b1 a[0-2:1] a2! b2');
  });

  it('keeps layouts', () => {
    check('La a1! a2 La a3 b4!', 1, 'La La b4!', ['3 after 0', '']);
  });

  it('hands out in pieces, in order', () => {
    const { queue, size } = queueOf('a1! a2 a3 a4 a5');
    expect(describeRecords(queue.take(2 * size))).toBe('a1! a2');
    expect(describeRecords(queue.take(1))).toBe('a3');
    const rest = queue.take(1e9);
    queue.putBack(rest);
    expect(describeRecords(queue.take(1e9))).toBe('a4 a5');
    expect(queue.take(1)).toEqual([]);
  });

  it('drops everything but gaps', () => {
    const { queue, owners } = queueOf('La a1! b1!');
    queue.push(gapRecord(1, asTime(1), asTime(2), 'restart', -1, undefined));
    expect(queue.dropAll().length).toBe(2);
    expect(describeRecords(queue.take(1e9))).toBe('a[1-2:-1]');
    expect(owners.map((owner) => owner.dropped)).toEqual(['1 after 0', '1 after 0']);
  });
});
