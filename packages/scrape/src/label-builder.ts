import { type Labels, compareUtf8 } from '@canopy/model';

/**
 * A label set being worked on: names and values in two short columns, looked up by walking them
 * (sets of labels are small; a map costs more than it saves). Setting `''` removes a label.
 * Reused from series to series.
 */
export class LabelBuilder {
  readonly #names: string[] = [];
  readonly #values: string[] = [];

  /** Starts again from pairs in any order; pairs with an empty value are left out. */
  reset(pairs: Labels): void {
    this.#names.length = 0;
    this.#values.length = 0;
    for (let i = 0; i < pairs.length; i += 2) this.set(pairs[i], pairs[i + 1]);
  }

  get count(): number {
    return this.#names.length;
  }

  /** `''` where there is no such label. */
  get(name: string): string {
    const at = this.#names.indexOf(name);
    return at < 0 ? '' : this.#values[at];
  }

  set(name: string, value: string): void {
    if (value === '') return this.delete(name);
    const at = this.#names.indexOf(name);
    if (at >= 0) {
      this.#values[at] = value;
    } else {
      this.#names.push(name);
      this.#values.push(value);
    }
  }

  delete(name: string): void {
    const at = this.#names.indexOf(name);
    if (at < 0) return;
    this.#names.splice(at, 1);
    this.#values.splice(at, 1);
  }

  /** Visits the labels as they are now; `visit` may change the builder. */
  forEach(visit: (name: string, value: string) => void): void {
    const names = [...this.#names];
    const values = [...this.#values];
    for (let i = 0; i < names.length; i++) visit(names[i], values[i]);
  }

  /** The finished set, sorted; a new array. */
  labels(): Labels {
    const names = this.#names;
    const values = this.#values;
    // Insertion sort: exporters write labels in order, so most steps move nothing.
    for (let i = 1; i < names.length; i++) {
      const name = names[i];
      const value = values[i];
      let at = i;
      while (at > 0 && compareUtf8(names[at - 1], name) > 0) {
        names[at] = names[at - 1];
        values[at] = values[at - 1];
        at--;
      }
      names[at] = name;
      values[at] = value;
    }
    const flat: string[] = [];
    for (let i = 0; i < names.length; i++) flat.push(names[i], values[i]);
    // A copy is as long as it needs to be; what was pushed to has room to grow, and is kept for long.
    return flat.slice();
  }
}
