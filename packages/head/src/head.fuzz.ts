/**
 * Any sequence of what can happen to a head gives the same answers as plain arrays, and counts what they
 * count. Not checked here: blocks (canopy's blocks.fuzz.ts); what is counted of loose samples, and which of
 * those too old are refused, once a restart has made their group's earlier ones unknown.
 */
import { expect, it } from 'vitest';
import { INTERVAL, ModelWorld, Witness } from './testing/index.js';

const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 0);
const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 60);
const STEPS = 120;
/** A machine ten times as slow takes a second a round. */
const TIMEOUT_MS = 60_000 + ROUNDS * 1000;

it(
  'gives the answers that plain arrays give',
  async () => {
    for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
      const world = new ModelWorld(seed, 40 * INTERVAL);
      const witness = new Witness(world);
      for (let step = 0; step < STEPS; step++) {
        await world.step();
        await witness.look();
        expect(world.wrong, `seed ${seed} step ${step}`).toEqual([]);
      }
      witness.end();
    }
  },
  TIMEOUT_MS,
);
