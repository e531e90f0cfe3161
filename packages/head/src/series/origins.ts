/** Which (group, slot) columns a series has: its origins. */
import { grownUint32 } from './grow.js';

const END = 0xffffffff;

/** A singly linked list a series, in shared columns: 12 bytes a column and 4 a series. */
export class Origins {
  #first = new Uint32Array(0);
  #group = new Uint32Array(1024);
  #slot = new Uint32Array(1024);
  #next = new Uint32Array(1024);
  #free = END;
  #length = 0;
  #used = 0;

  /** Series that have columns are below it. */
  get bound(): number {
    return this.#first.length;
  }

  get byteLength(): number {
    return this.#first.byteLength + 3 * this.#next.byteLength;
  }

  /** Adds a column; `group` is a handle of this process. */
  add(ref: number, group: number, slot: number): void {
    if (ref >= this.#first.length) {
      const length = this.#first.length;
      this.#first = grownUint32(this.#first, ref + 1);
      this.#first.fill(END, length);
    }
    const at = this.#take();
    this.#group[at] = group;
    this.#slot[at] = slot;
    this.#next[at] = this.#first[ref];
    this.#first[ref] = at;
  }

  /** Takes the columns of a group from a series. Returns whether the series has none left. */
  remove(ref: number, group: number): boolean {
    let before = END;
    let at = this.#first[ref];
    while (at !== END) {
      const next = this.#next[at];
      if (this.#group[at] === group) {
        if (before === END) this.#first[ref] = next;
        else this.#next[before] = next;
        this.#next[at] = this.#free;
        this.#free = at;
        this.#used--;
      } else {
        before = at;
      }
      at = next;
    }
    return this.#first[ref] === END;
  }

  /** A cursor over a series' columns: -1 at the end. */
  first(ref: number): number {
    return ref < this.#first.length ? this.#cursor(this.#first[ref]) : -1;
  }

  next(cursor: number): number {
    return this.#cursor(this.#next[cursor]);
  }

  group(cursor: number): number {
    return this.#group[cursor];
  }

  slot(cursor: number): number {
    return this.#slot[cursor];
  }

  /** Whether the series has a column in the group. */
  has(ref: number, group: number): boolean {
    for (let at = this.first(ref); at >= 0; at = this.next(at)) {
      if (this.#group[at] === group) return true;
    }
    return false;
  }

  #cursor(at: number): number {
    return at === END ? -1 : at;
  }

  /**
   * Gives memory back after many columns have gone. `refBound`: series that have columns are below it.
   * Cursors become wrong.
   */
  shrink(refBound: number): void {
    if (refBound * 4 < this.#first.length) this.#first = this.#first.slice(0, refBound);
    if (this.#length < 4096 || this.#used * 4 > this.#length) return;
    const [group, slot, next] = [this.#group, this.#slot, this.#next];
    const size = this.#used + 1024;
    this.#group = new Uint32Array(size);
    this.#slot = new Uint32Array(size);
    this.#next = new Uint32Array(size);
    let length = 0;
    for (let ref = 0; ref < this.#first.length; ref++) {
      let at = this.#first[ref];
      if (at !== END) this.#first[ref] = length;
      for (; at !== END; at = next[at], length++) {
        this.#group[length] = group[at];
        this.#slot[length] = slot[at];
        this.#next[length] = next[at] === END ? END : length + 1;
      }
    }
    this.#length = length;
    this.#free = END;
  }

  #take(): number {
    this.#used++;
    if (this.#free !== END) {
      const at = this.#free;
      this.#free = this.#next[at];
      return at;
    }
    const at = this.#length++;
    this.#group = grownUint32(this.#group, this.#length);
    this.#slot = grownUint32(this.#slot, this.#length);
    this.#next = grownUint32(this.#next, this.#length);
    return at;
  }
}
