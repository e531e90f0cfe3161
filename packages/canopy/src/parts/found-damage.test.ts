import { MemoryStore } from '@canopy/federation/testing';
import { Head } from '@canopy/head';
import { asDuration, asTime } from '@canopy/model';
import type { CorruptRecord } from '@canopy/store';
import { expect, it } from 'vitest';
import { EVER, HOUR, MINUTE, SmallParent } from '../testing/small-parent.js';
import { FoundDamage } from './found-damage.js';
import { recoverHead } from './recovery.js';

/** Four hours of a source, sealed, and another parent that has recovered from the store and only reads. */
async function rig() {
  const parent = new SmallParent();
  const group = parent.group('one');
  const begin = parent.clock.now();
  for (let minute = 0; minute < 240; minute++) {
    // Of ever more digits: no two windows have blocks of one size.
    group.frame(begin + minute * MINUTE, [minute ** (minute < 120 ? 1 : 5)], minute % 30 === 0);
  }
  await parent.take();
  parent.clock.stepWallClock(4 * HOUR);
  parent.watermark = parent.clock.now();
  await parent.tiles.write();
  const unsealed = parent.store.copy();
  await sealAll(parent);
  const noted: CorruptRecord[] = [];
  const asked: string[] = [];
  const damage = new FoundDamage(
    {
      blocks: (ref) => (asked.push('blocks'), parent.store.blocks(ref)),
      tiles: (ref) => (asked.push('tiles'), parent.store.tiles(ref)),
    },
    (record) => void noted.push(record),
  );
  const head = new Head({
    ...{ clock: parent.clock, windowMs: asDuration(2 * HOUR), tileFrames: 30 },
    ...{ outOfOrderWindow: asDuration(0), tileSource: parent.store, maxSeries: 1000 },
    onTileClosed: () => {},
    onTileCorrupt: (ref, meta, block) => damage.tile(ref, meta, block),
    onBlockCorrupt: (ref, meta) => damage.block(ref, meta),
  });
  await recoverHead({ store: parent.store, head, log: () => {}, onProgress: () => {} });
  /** How many samples are found. */
  const select = async (range = EVER): Promise<number> => {
    const snapshot = head.snapshot();
    const found = await snapshot.select([], range);
    snapshot.release();
    // What was found is looked for in the store beside the select.
    await new Promise((done) => setTimeout(done, 0));
    return found.reduce((sum, { from, to }) => sum + to - from, 0);
  };
  return { parent, unsealed, noted, asked, select };
}

async function sealAll(parent: SmallParent): Promise<void> {
  const blocks = parent.newBlocks({ spans: [], sealDelay: asDuration(0) });
  await blocks.run(asTime(parent.clock.now() + 2 * HOUR));
}

/** The store falls back to before anything was sealed, and the second window becomes the block of the first one's number. */
async function fallBack(parent: SmallParent, unsealed: MemoryStore): Promise<void> {
  const [first] = await parent.store.blocks(parent.ref);
  parent.store.become(unsealed);
  await parent.buildAnew();
  const tiles = parent.head.blocks.looseTiles(parent.ref);
  parent.head.dropTiles(parent.ref, tiles.slice(0, 4));
  await sealAll(parent);
  const [other] = await parent.store.blocks(parent.ref);
  expect(other.id).toBe(first.id);
  expect(other.from).toBeGreaterThan(first.from);
}

it('takes no index for damaged that another block has in its place since the store fell back', async () => {
  const { parent, unsealed, noted, asked, select } = await rig();
  await fallBack(parent, unsealed);
  expect(await select()).toBeLessThan(240);
  expect(asked).toContain('blocks');
  expect(noted).toEqual([]);
});

it('takes no tile for damaged that another block has in its place since the store fell back', async () => {
  const { parent, unsealed, noted, asked, select } = await rig();
  // The head has the index, and of the tiles one.
  const begin = parent.clock.now() - 4 * HOUR;
  const range = { minTime: asTime(begin + 100 * MINUTE), maxTime: asTime(begin + 104 * MINUTE) };
  expect(await select(range)).toBe(5);
  await fallBack(parent, unsealed);
  expect(asked).toEqual([]);
  expect(await select({ minTime: asTime(begin), maxTime: range.maxTime })).toBeLessThan(105);
  expect(asked).toContain('blocks');
  expect(noted).toEqual([]);
});

it('names an index and a tile that are damaged where they are', async () => {
  for (const what of ['tile', 'block'] as const) {
    const { parent, noted, select } = await rig();
    const [{ id, tileBytes, indexBytes }] = await parent.store.blocks(parent.ref);
    const end = what === 'tile' ? tileBytes : tileBytes + indexBytes;
    parent.store.damageBlock(parent.ref, id, end - 7);
    expect(await select()).toBeLessThan(240);
    expect(noted.map((record) => record.what)).toEqual([what]);
    expect(noted[0].gap).toMatchObject({ cause: 'corrupt' });
  }
});
