/**
 * Strings of short ASCII texts, kept in a table of fixed size: label names and values repeat, and a
 * string made anew costs four times one found again.
 */
const PLACES = 4096;
const LENGTH_MAX = 48;

export class ShortStrings {
  readonly #strings: string[] = Array.from({ length: PLACES }, () => '');

  /** String of `text[start, end)`, all of it ASCII. `hash` is any 32 bits that depend on the text alone. */
  of(text: Buffer, start: number, end: number, hash: number): string {
    const length = end - start;
    if (length > LENGTH_MAX) return text.toString('latin1', start, end);
    const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
    const known = this.#strings[place];
    if (known.length === length && equals(known, text, start)) return known;
    const made = text.toString('latin1', start, end);
    this.#strings[place] = made;
    return made;
  }
}

function equals(known: string, text: Buffer, start: number): boolean {
  for (let i = 0; i < known.length; i++) {
    if (known.charCodeAt(i) !== text[start + i]) return false;
  }
  return true;
}
