import { ErasedView } from '@canopy/head';
import { type Store, asTime } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { parseSelector } from '@canopy/promql';
import { MemoryStore } from '@canopy/federation/testing';
import { expect, it } from 'vitest';
import { Deletions } from './deletions.js';

const NOW = 1_700_000_000_000;
const DAY = 86_400_000;

function make(store: Store, retention = DAY) {
  const clock = new VirtualClock(NOW);
  const told: string[] = [];
  const view = new ErasedView({
    snapshot: () => {
      throw new Error('not asked here');
    },
    metadata: () => new Map(),
  });
  const log = (level: string, text: string): void => void told.push(`${level}: ${text}`);
  const deletions = new Deletions({ view, store, clock, log, retention, parseSelector });
  return { deletions, view, clock, told };
}

const newStore = (): Store => new MemoryStore(new VirtualClock(NOW));

it('hides what was deleted up to now, in every process on the store', async () => {
  const store = newStore();
  const { deletions, view } = make(store);
  const other = make(store);
  await Promise.all([
    deletions.delete(['{job="a"}', 'up'], NOW - DAY, Number.MAX_SAFE_INTEGER),
    deletions.delete(['{job="b"}'], 5, 10),
    deletions.delete(['{job="c"}'], NOW + 1, NOW + 2), // nothing is there yet
  ]);
  const stones = (of: ErasedView) => of.tombstones.map((stone) => [stone.minTime, stone.maxTime]);
  const expected = [
    [NOW - DAY, NOW],
    [NOW - DAY, NOW],
    [5, 10],
  ];
  expect(stones(view)).toEqual(expected);
  await other.deletions.follow();
  expect(stones(other.view)).toEqual(expected);
  // One that another covers is not kept beside it.
  await other.deletions.delete(['{job="b"}'], 0, 100);
  expect(other.view.tombstones).toHaveLength(3);
});

it('forgets deletions once retention has taken their samples, and says when that is', async () => {
  const store = newStore();
  const { deletions, view, clock } = make(store);
  await deletions.clean();
  await deletions.delete(['up'], 0, NOW - 2 * DAY);
  await deletions.delete(['up'], NOW - 2 * DAY + 1, NOW);
  await expect(deletions.clean()).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('1 deletions are hidden') as string,
  });
  expect(view.tombstones).toHaveLength(1);
  await clock.advance(DAY + 1);
  await deletions.clean();
  expect(view.tombstones).toEqual([]);
  expect(await store.getDocument('tombstones')).toBeUndefined();
});

it('holds to its limits, and to nothing of a document that is none', async () => {
  const store = newStore();
  const { deletions, view, told } = make(store);
  const many = Array.from({ length: 1000 }, (_none, i) => `{i="${i}"}`);
  await deletions.delete(many, 0, NOW);
  await expect(deletions.delete(['up'], 0, NOW)).rejects.toMatchObject({ code: 'limit' });
  expect(view.tombstones).toHaveLength(1000);
  await deletions.delete(many.slice(0, 3), asTime(0), NOW);
  for (const text of ['{', '[{"match":"{"}]', '[{"match":"up"}]', '{"match":"up"}']) {
    await store.putDocument('tombstones', text);
    await deletions.load();
    expect(view.tombstones).toEqual([]);
  }
  expect(told).toHaveLength(4);
});
