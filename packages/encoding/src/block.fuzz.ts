import { FormatError, asDuration, asTime, labelsOf, makeMatcher, matchesAll } from '@canopy/model';
import { expect, it } from 'vitest';
import { type BlockGroup, BlockIndex, BlockIndexWriter } from './block.js';
import { crc32c } from './crc32c.js';
import { type Rng, makeRng } from './testing/index.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 200);
const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 1);
const NAMES = ['__name__', 'a', 'job', 'ä', '𝒳'];

function labels(rng: Rng): readonly string[] {
  const pairs: Array<[string, string]> = [];
  for (let i = rng.below(4); i > 0; i--) pairs.push([rng.pick(NAMES), `v${rng.below(4)}`]);
  return labelsOf(pairs);
}

function randomGroups(rng: Rng): BlockGroup[] {
  let position = 0;
  return Array.from({ length: rng.below(8) }, (_, i): BlockGroup => {
    const families = Array.from({ length: rng.below(3) }, (_unused, j) => ({
      ...{ name: `f${j}`, type: 'counter' as const, help: rng.pick(['', 'h']), unit: '' },
    }));
    const slots = Array.from({ length: rng.below(6) }, () => ({
      labels: labels(rng),
      family: rng.below(families.length + 1) - 1,
    }));
    let next = -1;
    const slotNumbers = rng() < 0.3 ? slots.map(() => (next += 1 + rng.below(5))) : null;
    const slotCount = slotNumbers === null ? slots.length : next + 1 + rng.below(3);
    let sequence = rng.below(100);
    let time = rng.below(1e12);
    const tiles = Array.from({ length: rng.below(4) }, () => {
      position += rng.below(3);
      const byteLength = 1 + rng.below(1e6);
      const tile = {
        ...{ position, byteLength, firstSequence: sequence, lastSequence: sequence + rng.below(9) },
        ...{ minTime: asTime(time), maxTime: asTime(time + rng.below(1e7)) },
      };
      position += byteLength;
      sequence = tile.lastSequence + 1;
      // Loose tiles may overlap in time.
      time = Math.max(0, tile.maxTime + rng.below(1000) - 300);
      return tile;
    });
    const meta = {
      kind: rng.pick(['aligned', 'loose'] as const),
      target: labels(rng),
      scrapeUrl: rng.pick(['', 'http://x/']),
      interval: asDuration(rng.below(1e6)),
      continues: rng.below(2 ** 32),
    };
    const steps = [{ firstSlot: 0, time: asTime(rng.below(1e12)) }];
    if (slotCount > 1) steps.push({ firstSlot: 1, time: asTime(rng.below(1e12)) });
    return {
      epoch: 1 + rng.below(3),
      layout: {
        ...{ group: i + 1, version: 1 + rng.below(9), meta, families, slots, slotNumbers },
        ...{ slotCount, firstSlot: 0, firstFamily: 0 },
      },
      ...{ steps, tiles },
    };
  });
}

function encode(groups: readonly BlockGroup[]): Uint8Array {
  const writer = new BlockIndexWriter();
  for (const group of groups) writer.add(group);
  const steps = writer.finish();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

it('decode ∘ encode is the identity, and matches miss no group', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    const groups = randomGroups(rng);
    const index = new BlockIndex(encode(groups));
    const read = groups.map((_, i) => ({
      epoch: index.epoch(i),
      ...index.layout(i),
      tiles: index.tiles(i),
    }));
    expect(read, `seed ${seed}`).toEqual(groups);
    const matchers = [
      makeMatcher(rng.pick(NAMES), rng.pick(['=', '!=', '=~', '!~'] as const), `v${rng.below(5)}`),
    ];
    const found = new Set(index.match(matchers));
    groups.forEach(({ layout }, i) => {
      const has = layout.slots.some((slot) => matchesAll(matchers, slot.labels));
      if (has) expect(found.has(i), `seed ${seed}`).toBe(true);
    });
  }
});

it('any bytes give an index or a FormatError', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const rng = makeRng(seed);
    const bytes = Uint8Array.from(encode(randomGroups(rng)));
    for (let i = rng.below(4); i >= 0; i--) bytes[rng.below(bytes.length - 4)] = rng.below(256);
    // Damage behind a right checksum.
    if (rng() < 0.9) {
      new DataView(bytes.buffer).setUint32(
        bytes.length - 4,
        crc32c(bytes, 0, bytes.length - 4),
        true,
      );
    }
    try {
      const index = new BlockIndex(bytes);
      for (const name of index.labelNames()) index.labelValues(name);
      index.match([makeMatcher('a', '=~', 'v.+')]);
      for (let i = 0; i < index.groupCount; i++) index.layout(i);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
});
