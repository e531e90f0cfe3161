import {
  BlockIndex,
  BlockIndexWriter,
  decodeLayout,
  entryPayload,
  joinLayouts,
} from '@canopy/encoding';
import {
  type BlockMeta,
  type JournalEntry,
  type JournalRef,
  type StoredTile,
  asDuration,
  asTime,
} from '@canopy/model';
import { expect, it } from 'vitest';
import { START, all, at, headRig } from '../testing/head-rig.js';
import { JournalScript } from '../testing/index.js';

const blockMeta: Omit<BlockMeta, 'last'> = {
  ...{ id: 5, resolution: asDuration(0), intervalMax: asDuration(0) },
  ...{
    from: asTime(START),
    to: asTime(at(200)),
    minTime: asTime(at(30)),
    maxTime: asTime(at(104)),
  },
  ...{ tileBytes: 0, indexBytes: 0, groups: 1, tiles: 2, series: 3 },
};

it('keeps loose samples with times of their own', async () => {
  const { head, store } = headRig();
  const journal = new JournalScript('a');
  const group = journal.group({ kind: 'loose' }).add({ __name__: 'x' }, { __name__: 'y' });
  const check = (samples: Array<[number, number, number | 'stale']>, expected: object) => {
    group.loose(
      at(100),
      samples.map(([slot, seconds, sample]) => [slot, at(seconds), sample]),
    );
    const { samples: taken, refused } = head.apply(journal.ref, journal.take());
    expect({ taken, ...refused }).toEqual(expected);
  };
  check(
    [
      [0, 100, 1],
      [1, 90, 2],
    ],
    { taken: 2 },
  ); // prettier-ignore
  check([[0, 100, 1]], { taken: 0 }); // the same again: silently
  check([[0, 100, 7]], { taken: 0, duplicate: 1 });
  check([[0, 95, 3]], { taken: 1 }); // late, within the window
  check(
    [
      [0, 95, 3],
      [0, 95, 4],
    ],
    { taken: 0, duplicate: 1 },
  ); // prettier-ignore
  check([[0, 89, 3]], { taken: 0, too_old: 1 });
  check([[1, 91, 4]], { taken: 1 }); // older than the group's newest, in order for its series
  for (let i = 0; i < 8; i++) check([[0, 101 + i, i]], { taken: 1 });
  check(
    [
      [0, 99, 'stale'],
      [0, 97, 9],
    ],
    { taken: 1, too_old: 1 },
  ); // prettier-ignore
  const expected = [
    'x 95:3 99:s 100:1 101:0 102:1 103:2 104:3 105:4 106:5 107:6 108:7',
    'y 90:2 91:4',
  ];
  expect(await all(head)).toEqual(expected);
  const metas = store.metas(journal.ref);
  expect(metas.length).toBe(1);
  head.tileStored(journal.ref, metas[0]);
  head.expire(asTime(at(200)));
  expect(await all(head)).toEqual(expected);
});

it('tells loose samples that it has, be they in a closed tile, from late ones', () => {
  const { head, store } = headRig();
  const journal = new JournalScript('a');
  const group = journal.group({ kind: 'loose' }).add({ __name__: 'x' });
  const check = (samples: Array<[number, number | 'stale']>, expected: object) => {
    group.loose(
      at(100),
      samples.map(([seconds, sample]) => [0, at(seconds), sample]),
    );
    const { samples: taken, refused } = head.apply(journal.ref, journal.take());
    expect({ taken, ...refused }).toEqual(expected);
  };
  check(
    [
      [90, 1],
      [92, 'stale'],
    ],
    { taken: 2 },
  ); // prettier-ignore
  for (let i = 0; i < 8; i++) check([[93, i]], i === 0 ? { taken: 1 } : { taken: 0, duplicate: 1 });
  expect(store.metas(journal.ref).length).toBe(1);
  check([[90, 1]], { taken: 0 }); // the same again
  check(
    [
      [90, 2],
      [92, 7],
    ],
    { taken: 0, duplicate: 2 },
  ); // prettier-ignore
  check(
    [
      [92, 'stale'],
      [91, 5],
    ],
    { taken: 1 },
  ); // prettier-ignore
  check([[120, 6]], { taken: 1 });
  check([[90, 1]], { taken: 0, too_old: 1 }); // whether it was there is not looked for
});

/** The bytes of a block with these tiles of one group, and where they lie. */
function blockOf(layout: JournalEntry, tiles: readonly StoredTile[]) {
  let position = 0;
  const placed = tiles.map(({ meta, bytes }) => {
    position += bytes.length;
    return { ...meta, position: position - bytes.length };
  });
  const writer = new BlockIndexWriter();
  const record = { layout: decodeLayout(entryPayload(layout)), time: layout.time };
  writer.add({ epoch: 1, ...joinLayouts([record]), tiles: placed });
  const steps = writer.finish();
  for (;;) {
    const step = steps.next();
    if (step.done) return { index: step.value, tiles: Buffer.concat(tiles.map((t) => t.bytes)) };
  }
}

it('judges late samples after a restart as before it, also by what lies in blocks', async () => {
  const stored: StoredTile[] = [];
  const options = { onTileClosed: (_: JournalRef, tile: StoredTile) => void stored.push(tile) };
  const { head } = headRig(options);
  const journal = new JournalScript('a');
  const group = journal.group({ kind: 'loose' });
  group.add({ __name__: 'x' }, { __name__: 'y' }, { __name__: 'z' });
  const sample = (slot: number, seconds: number, value: number): Sample => [
    slot,
    at(seconds),
    value,
  ];
  type Sample = [number, number, number];
  const frame = (...samples: Sample[]): JournalEntry[] => {
    group.loose(at(300), samples);
    return journal.take();
  };
  // Three tiles and some of the next one; y and z speak in the first alone.
  const [layout, ...first] = frame(sample(1, 96, 7), sample(2, 30, 8), sample(0, 100, 0));
  const entries = [layout, ...first];
  for (let i = 1; i < 27; i++) entries.push(...frame(sample(0, 100 + i / 4, i)));
  head.apply(journal.ref, entries);
  expect(stored.length).toBe(3);
  const block = blockOf(layout, stored.slice(0, 2));
  const meta = { ...blockMeta, last: { epoch: 1, sequence: stored[1].meta.lastSequence } };
  const restarted = headRig().head;
  restarted.restoreLayouts(journal.ref, [layout]);
  restarted.restoreTiles(journal.ref, [stored[2].meta]);
  restarted.blocks.restore(journal.ref, [meta]);
  const recall = restarted.storedTiles.recall(journal.ref);
  expect(recall.isRecent(meta)).toBe(true);
  const index = new BlockIndex(block.index);
  restarted.blocks.restoreSealed(journal.ref, index);
  recall.addBlock(meta, index);
  const wanted = recall.tiles();
  expect(wanted.map(({ block: where }) => where?.id)).toEqual([undefined, 5, 5]);
  for (const tile of wanted) {
    const { position, meta: extent } = tile;
    const end = position + extent.byteLength;
    const isAlone = tile.block === undefined;
    recall.take(tile, isAlone ? stored[2].bytes : block.tiles.subarray(position, end));
  }
  restarted.apply(journal.ref, entries.slice(-3));
  const later = frame(
    ...[sample(0, 106.5, 26), sample(0, 106.5, 1), sample(0, 102, 8), sample(0, 102, 9)],
    ...[
      sample(0, 101.1, 5),
      sample(0, 90, 5),
      sample(1, 96, 7),
      sample(1, 96, 8),
      sample(1, 90, 1),
    ],
    ...[sample(1, 97, 1), sample(2, 29, 1), sample(2, 31, 1)],
  );
  const expected = head.apply(journal.ref, later);
  // z was silent for longer than the memory of a minute: it is as a new series.
  expect(expected).toMatchObject({ samples: 4, refused: { duplicate: 3, too_old: 2 } });
  expect(restarted.apply(journal.ref, later)).toEqual(expected);
  expect(restarted.stats.activeSeries).toBe(head.stats.activeSeries);
});
