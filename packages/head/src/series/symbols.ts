/** Label names and values, each text once. */
import { grownUint32 } from './grow.js';

/** Numbers are dense, below 2^31, and given again once nobody uses a text. */
export class Symbols {
  readonly #ids = new Map<string, number>();
  #texts: string[] = [];
  #free: number[] = [];
  #uses = new Uint32Array(1024);

  /** Number of texts held. */
  get count(): number {
    return this.#ids.size;
  }

  /** -1 where the text is not known. */
  find(text: string): number {
    return this.#ids.get(text) ?? -1;
  }

  text(id: number): string {
    return this.#texts[id];
  }

  /** Counts one more use of `text` and returns its number. */
  retain(text: string): number {
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.#free.pop() ?? this.#texts.length;
      this.#texts[id] = text;
      this.#ids.set(text, id);
      this.#uses = grownUint32(this.#uses, id + 1);
      this.#uses[id] = 0;
    }
    this.#uses[id]++;
    return id;
  }

  /** Counts one more use of a text that is there. */
  use(id: number): void {
    this.#uses[id]++;
  }

  /** Numbers given so far, those that are free again among them. */
  get bound(): number {
    return this.#texts.length;
  }

  /** Numbers all texts anew, without gaps. Returns the new number of each old one; free ones have none. */
  renumber(): Uint32Array {
    const map = new Uint32Array(this.#texts.length);
    const uses = new Uint32Array(Math.max(1024, this.#ids.size));
    const texts: string[] = [];
    for (const [text, old] of this.#ids) {
      map[old] = texts.length;
      uses[texts.length] = this.#uses[old];
      this.#ids.set(text, texts.length);
      texts.push(text);
    }
    this.#texts = texts;
    this.#uses = uses;
    this.#free = [];
    return map;
  }

  /** Counts one use less; after the last one the text is forgotten. */
  release(id: number): void {
    if (--this.#uses[id] > 0) return;
    this.#ids.delete(this.#texts[id]);
    this.#texts[id] = '';
    this.#free.push(id);
  }
}
