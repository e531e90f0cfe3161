/** Distinct descriptions of metric families, over all groups. */
import type { Family } from '@canopy/model';

interface Counted {
  readonly family: Family;
  uses: number;
}

/** Families are shared between groups that say the same, and counted. */
export class Families {
  readonly #byName = new Map<string, Map<string, Counted>>();

  /** Counts one more use; returns the shared object. */
  retain(family: Family): Family {
    let byText = this.#byName.get(family.name);
    if (byText === undefined) this.#byName.set(family.name, (byText = new Map()));
    const key = descriptionKey(family);
    let counted = byText.get(key);
    if (counted === undefined) byText.set(key, (counted = { family, uses: 0 }));
    counted.uses++;
    return counted.family;
  }

  release(family: Family): void {
    const byText = this.#byName.get(family.name);
    const key = descriptionKey(family);
    const counted = byText?.get(key);
    if (byText === undefined || counted === undefined || --counted.uses > 0) return;
    byText.delete(key);
    if (byText.size === 0) this.#byName.delete(family.name);
  }

  /** A fresh map; by name, in no order. */
  all(): Map<string, readonly Family[]> {
    const all = new Map<string, readonly Family[]>();
    for (const [name, byText] of this.#byName) {
      all.set(
        name,
        Array.from(byText.values(), (counted) => counted.family),
      );
    }
    return all;
  }
}

const descriptionKey = (family: Family): string =>
  `${family.type}\u0000${family.unit.length}:${family.unit}${family.help}`;
