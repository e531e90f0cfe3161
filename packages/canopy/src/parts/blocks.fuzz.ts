/**
 * Any sequence of appends, moves between origins, seals, merges, retentions by time and bytes, restarts, writes
 * that fail and stores that fall back to an older state gives the same answers as plain arrays, over each kind
 * of store. Not checked here: samples older than the newest that retention dropped (only that none is invented),
 * for it drops whole blocks; answers between a store's fall and the next pull (likewise).
 */
import { Witness } from '@canopy/head/testing';
import type { Clock } from '@canopy/model';
import { redisIsLeftOut } from '@canopy/store/testing';
import { expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { type StorePlace, embeddedPlace, memoryPlace, redisPlace } from '../testing/store-place.js';
import { StoreWorld, type WorldTotals } from '../testing/store-world.js';

const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 0);
const ROUNDS = process.env.CANOPY_FUZZ_ROUNDS;
const STEPS = 150;

async function run(
  seed: number,
  place: StorePlace,
  totals: WorldTotals & { seen: number; later: number },
) {
  const world = new StoreWorld(seed, place);
  const witness = new Witness(world);
  for (let step = 0; step < STEPS; step++) {
    await world.step();
    await witness.look();
    expect(world.wrong, `seed ${seed} step ${step}`).toEqual([]);
  }
  witness.end();
  if (await world.rest()) totals.seen++;
  expect(world.wrong, `seed ${seed} at rest`).toEqual([]);
  world.note();
  for (const [name, count] of Object.entries(world.totals))
    totals[name as keyof WorldTotals] += count;
  totals.later += witness.comparedLater;
}

const PLACES: Array<[string, number, (clock: Clock) => Promise<StorePlace>]> = [
  ['memory', 20, memoryPlace],
  ['LMDB', 1, embeddedPlace],
  ...(redisIsLeftOut()
    ? []
    : [['Redis', 1, redisPlace] as [string, number, () => Promise<StorePlace>]]),
];

/** Seeds that found a fault, far from where passes begin. */
it.each([5_100_149, 31_212, 80_369, 90_196, 100_059])(
  'gives the answers that plain arrays give, seed %i',
  async (seed) => {
    const totals = {
      ...{ sealed: 0, merged: 0, dropped: 0, mounted: 0, fallBacks: 0, squeezed: 0 },
      ...{ seen: 0, later: 0 },
    };
    await using place = await memoryPlace(systemClock);
    await run(seed, place, totals);
    expect(totals.mounted).toBeGreaterThan(0);
  },
);

it.each(PLACES)(
  'gives the answers that plain arrays give, over %s',
  async (_, few, open) => {
    const share = few / PLACES[0][1];
    const rounds = ROUNDS === undefined ? few : Math.ceil(Number(ROUNDS) * share);
    const totals = {
      ...{ sealed: 0, merged: 0, dropped: 0, mounted: 0, fallBacks: 0, squeezed: 0 },
      ...{ seen: 0, later: 0 },
    };
    for (let seed = SEED; seed < SEED + rounds; seed++) {
      await using place = await open(systemClock);
      await run(seed, place, totals);
    }
    if (ROUNDS !== undefined) console.log(JSON.stringify(totals));
    // A world in which little happens proves nothing.
    if (rounds < 20) return;
    for (const count of Object.values(totals)) expect(count).toBeGreaterThan(rounds / 10);
  },
  60_000 + Number(ROUNDS ?? 20) * 3000,
);
