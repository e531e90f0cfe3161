/** Who waits with whom for a place among the bodies that are received and taken at once. */
import type { Gate } from '@canopy/model';

/** One gate for each kind of body; the same one may serve several. */
export interface GateKinds {
  /** Text. */
  readonly text: Gate;
  /** Answers in the pull format, whose taking may wait for the store. */
  readonly pulls: Gate;
  /** Of a target whose last body was long on its way. */
  readonly slow: Gate;
  /** Of a source whose last page said that there is more. */
  readonly behind: Gate;
}

/** A body whose first bytes have come, and what is known of its target. */
export interface BodyAtGate {
  readonly isPull: boolean;
  readonly isSlow: boolean;
  readonly isBehind: boolean;
}

/**
 * Whoever keeps others waiting waits with its like: who is slow, until a body of its has come in at once, for it holds a place as
 * long as that takes; who catches up, page after page, for a page of its costs as much as those of many who do not.
 */
export class Gates {
  readonly #kinds: GateKinds;

  constructor(kinds: GateKinds) {
    this.#kinds = kinds;
  }

  for({ isPull, isSlow, isBehind }: BodyAtGate): Gate {
    const { text, pulls, slow, behind } = this.#kinds;
    if (isSlow) return slow;
    if (isBehind) return behind;
    return isPull ? pulls : text;
  }
}
