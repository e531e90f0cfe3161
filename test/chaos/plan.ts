/** What is killed when: one seed gives one plan, whatever happens meanwhile. */

import type { Network } from './proxy.js';

export type StoreKind = 'embedded' | 'redis';

/** What happens to one parent in a round. Times in milliseconds. */
export interface ParentStep {
  /** From the end of the round before to the kill. */
  readonly after: number;
  /** How long it stays away. */
  readonly away: number;
  /** Killed again so long after its start, perhaps in the middle of its recovery; undefined: not. */
  readonly again: number | undefined;
  /** What becomes of its Redis meanwhile. */
  readonly redis: 'lives' | 'killed' | 'flushed';
}

export interface Round {
  readonly parents: Readonly<Record<StoreKind, ParentStep>>;
  /** The leaf is killed so long after the round's begin; undefined: it lives. */
  readonly leaf: number | undefined;
  /** Between leaf and parents, while they are killed. */
  readonly network: Network;
}

/** Uniform in [0, 1), the same sequence each time (mulberry32). */
export function makeRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Sound in half of the rounds. */
const NETWORKS: readonly Network[] = ['sound', 'sound', 'sound', 'flaky', 'reset', 'swallow'];

export function planOf(seed: number, rounds: number): readonly Round[] {
  const random = makeRandom(seed);
  const upTo = (ms: number): number => Math.floor(random() * ms);
  const sometimes = (share: number, ms: number): number | undefined => {
    const time = upTo(ms);
    return random() < share ? time : undefined;
  };
  const step = (): ParentStep => {
    const fate = random();
    return {
      after: upTo(1500),
      away: upTo(500),
      again: sometimes(0.25, 1200),
      redis: fate < 0.3 ? 'killed' : fate < 0.36 ? 'flushed' : 'lives',
    };
  };
  return Array.from({ length: rounds }, () => ({
    parents: { embedded: step(), redis: step() },
    leaf: sometimes(0.4, 1500),
    network: NETWORKS[upTo(NETWORKS.length)],
  }));
}
