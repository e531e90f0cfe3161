/** Gates without p-limit, which `canopy` alone imports. */
import type { Gate } from '@canopy/model';
import { type GateKinds, Gates } from '../gates.js';

/** First come, first served, `places` at once. */
export function gateOf(places: number): Gate {
  let free = places;
  const waiting: Array<() => void> = [];
  return async (task) => {
    if (free === 0) await new Promise<void>((done) => waiting.push(done));
    else free--;
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

const open: Gate = (task) => task();

/** Those not named are open. */
export const gatesOf = (kinds: Partial<GateKinds> = {}): Gates =>
  new Gates({ text: open, pulls: open, slow: open, behind: open, ...kinds });
