/**
 * Parentheses right around parentheses. Prometheus's parser takes thousands of them; each would be a level of ours, so
 * where there are too many for that, each such pair is read as blanks. Offsets stay.
 */
import { Tokens } from './tokens.js';
import { DEPTH_SURE } from './walk.js';

/** A parenthesis that is open. */
interface Open {
  readonly start: number;
  /** It stands right within another, or first of all: it holds an expression, not arguments or labels. */
  readonly isPlain: boolean;
  /** The parenthesis that begins right within it. */
  first: Open | null;
}

/** The query, or, where it is nested deeper than lezer's stack surely holds, one of the same length and meaning. */
export function withoutDoubled(query: string): string {
  if (query.split('(', DEPTH_SURE + 2).length < DEPTH_SURE + 2) return query;
  const tokens = new Tokens(query);
  const levels: Open[] = [];
  const blanks: number[] = [];
  let depth = 0;
  let before = '(';
  let closed: Open | undefined;
  let closedAt = 0;
  for (tokens.next(); tokens.kind !== 'end'; tokens.next()) {
    if (tokens.kind === 'comment') continue;
    const mark = tokens.kind === 'mark' ? tokens.word : '';
    if (mark === '(') {
      const open: Open = { start: tokens.start, isPlain: before === '(', first: null };
      const around = levels.at(-1);
      if (open.isPlain && around !== undefined) around.first = open;
      levels.push(open);
      depth = Math.max(depth, levels.length);
    } else if (mark === ')') {
      const own = levels.pop();
      if (own?.isPlain && before === ')' && own.first === closed) {
        blanks.push(own.first!.start, closedAt);
      }
      closed = own;
      closedAt = tokens.start;
    }
    before = mark;
  }
  return depth > DEPTH_SURE ? blanked(query, blanks) : query;
}

function blanked(text: string, places: number[]): string {
  places.sort((a, b) => a - b);
  const pieces = places.map((place, i) => text.slice(i === 0 ? 0 : places[i - 1] + 1, place));
  return [...pieces, text.slice((places.at(-1) ?? -1) + 1)].join(' ');
}
