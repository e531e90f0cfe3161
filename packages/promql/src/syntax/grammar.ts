/**
 * Text to lezer's tree. What the grammar published for editors cannot carry is told to it in a
 * text of the same length, so that all offsets hold in both:
 *
 * | written | lezer reads | because |
 * |---|---|---|
 * | comments | blanks | Prometheus ends one at `\r` too |
 * | `2.`, `0X1F`, `1h5m30s` and other rare spellings | `1 `, `111 `, … | lezer knows fewer; values are read from the query |
 * | strings with surrogates | `"aaa"` | lezer's tokens leave single surrogates out |
 * | `offset` where an operand is due | `xxxxxx` | a metric may have that name |
 * | `atan2` where an operand is due | `,,,,,` | a metric may not have that name; lezer stops at a comma |
 * | `Start`, `STEP`, … | in lower case | lezer matches those as written |
 * | `min_of(`, `max_of(` as functions | `minute(` | lezer knows them in durations only |
 *
 * Which operator binds tighter is decided afterwards, from the query's own words.
 */
import type { PartialParse, Tree } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import { unexpectedAt } from './explain.js';
import { parseError } from './position.js';
import { Walk, tooDeep, isDuration, isLabels } from './walk.js';

/** Words that lezer takes in lower case only. */
const CASED_WORDS = new Set(['start', 'end', 'step', 'range', 'min_of', 'max_of']);
/** As long as `min_of` and `max_of`, and a function in lezer's grammar. */
const SIX_LETTER_FUNCTION = 'minute';
const PLAIN_NUMBER = /^(?:[0-9]+(?:\.[0-9]+|ms|[smhdwy])?|\.[0-9]+)$/;

const strict = parser.configure({ strict: true });

export interface Parsed {
  readonly tree: Tree;
  /** What lezer read: comments are blank, all offsets those of the query. */
  readonly text: string;
}

/**
 * lezer counts reductions that begin at one place and cuts a chain of operators or modifiers after
 * 300, for the sake of those who walk its trees by recursion. The count is not part of its API; a
 * test of long chains tells when it is called otherwise.
 */
type LongParse = PartialParse & { bigReductionCount?: number };

/** @throws CanopyError `bad_data` */
export function parseTree(query: string): Parsed {
  const text = spellForLezer(query);
  const parse: LongParse = strict.startParse(text);
  try {
    let tree = parse.advance();
    while (tree === null) {
      parse.bigReductionCount = 0;
      tree = parse.advance();
    }
    return { tree, text };
  } catch (error) {
    if (error instanceof SyntaxError) unexpectedAt(query, parse.parsedPos);
    // lezer builds its trees by recursion: thousands of levels, where ours may have hundreds.
    if (error instanceof RangeError) tooDeep(query, parse.parsedPos);
    throw error;
  }
}

class Respelling {
  readonly #text: string;
  readonly #pieces: string[] = [];
  #copied = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Puts `piece` in place of as many characters from `start` on; not before the last one. */
  put(start: number, piece: string): void {
    this.#pieces.push(this.#text.slice(this.#copied, start), piece);
    this.#copied = start + piece.length;
  }

  finish(): string {
    if (this.#copied === 0) return this.#text;
    return this.#pieces.join('') + this.#text.slice(this.#copied);
  }
}

function spellForLezer(query: string): string {
  const walk = new Walk(query);
  const { tokens } = walk;
  const respelling = new Respelling(query);
  let isEmpty = true;
  for (tokens.next(); tokens.kind !== 'end'; tokens.next()) {
    const { kind, start, end } = tokens;
    if (kind === 'comment') {
      respelling.put(start, ' '.repeat(end - start));
      continue;
    }
    isEmpty = false;
    const { word } = tokens;
    const lower = kind === 'word' ? word.toLowerCase() : word;
    const piece = spell(walk, word, lower);
    if (piece !== null) respelling.put(start, piece);
    walk.accept(lower);
  }
  if (isEmpty) parseError(query, 0, 'no expression found in input');
  return respelling.finish();
}

/** What lezer is to read instead of the current token; null for the token itself. */
function spell(walk: Walk, word: string, lower: string): string | null {
  const { kind } = walk.tokens;
  if (kind === 'number') {
    if (PLAIN_NUMBER.test(word)) return null;
    // A point or a blank keeps it apart from the numbers beside it.
    return `${word[0] === '.' ? '.1' : '1'}`.padEnd(word.length - 1, '1').padEnd(word.length);
  }
  if (kind === 'string') {
    if (!/[\ud800-\udfff]/.test(word)) return null;
    return word[0] + 'a'.repeat(word.length - 2) + word[0];
  }
  if (kind === 'word' && !isLabels(walk.level.context)) return spellWord(walk, lower, word);
  return null;
}

function spellWord(walk: Walk, lower: string, word: string): string | null {
  const inDuration = walk.inOffset || isDuration(walk.level.context);
  if (walk.wantsOperand && !inDuration) {
    if (lower === 'offset') return 'xxxxxx';
    if (lower === 'atan2') return ',,,,,';
  }
  if (!CASED_WORDS.has(lower)) return null;
  if (!inDuration && (lower === 'min_of' || lower === 'max_of') && walk.callFollows()) {
    return SIX_LETTER_FUNCTION;
  }
  return word === lower ? null : lower;
}
