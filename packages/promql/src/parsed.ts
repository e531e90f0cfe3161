/** Trees of queries that came lately: a dashboard or a rule asks the same text again, at another time. */
import type { Expr } from './syntax/ast.js';
import { parseQuery } from './syntax/parse.js';

/** UTF-16 units of a text, and of all texts together. A tree takes up to 350 bytes a unit. */
const LENGTH_MAX = 2048;
const LENGTHS_MAX = 1 << 15;

/** Nothing of an answer is kept, and no regular expression: those have a bound of their own. */
export class ParsedQueries {
  /** In order of use. */
  readonly #trees = new Map<string, Expr>();
  #lengths = 0;

  /** Of all texts that are kept. */
  get lengths(): number {
    return this.#lengths;
  }

  /** As `parseQuery`. Trees are never changed, so queries may share one. */
  parse(text: string): Expr {
    const known = this.#trees.get(text);
    if (known !== undefined) {
      this.#trees.delete(text);
      this.#trees.set(text, known);
      return known;
    }
    const tree = parseQuery(text);
    // Every matcher with a regular expression has a tilde.
    if (text.length <= LENGTH_MAX && !text.includes('~')) this.#keep(text, tree);
    return tree;
  }

  #keep(text: string, tree: Expr): void {
    this.#trees.set(text, tree);
    this.#lengths += text.length;
    for (const oldest of this.#trees.keys()) {
      if (this.#lengths <= LENGTHS_MAX) return;
      this.#trees.delete(oldest);
      this.#lengths -= oldest.length;
    }
  }
}
