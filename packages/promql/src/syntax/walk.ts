/**
 * Tokens with what the text before them makes of them: whether an operand or an operator is due,
 * and in which brackets. It guides what lezer must be told beforehand and what an error says; it
 * refuses nothing but what is endless.
 */
import { parseError } from './position.js';
import { Tokens } from './tokens.js';

/** Expressions within expressions a query may have; more would exhaust the stack of calls. */
export const DEPTH_MAX = 500;

/**
 * lezer's stack holds 8,400 entries (its `CutDepth`), up to 18 of them for a bracket or an
 * operator: beyond this depth it may stop at what is well formed.
 */
export const DEPTH_SURE = 450;

/** Operators between operands at one level. */
const CHAIN_MAX = 2048;
/** `offset`, `@` and ranges after one operand; more than three have no meaning. */
const MODIFIERS_MAX = 100;

/** Where a token stands, in the words of Prometheus's errors; '' between plain parentheses. */
export type Context =
  | ''
  | 'function call'
  | 'aggregation'
  | 'grouping opts'
  | 'fill modifier'
  | 'label matching'
  | 'subquery or range selector'
  | 'subquery selector'
  | 'offset'
  | '@';

export interface Level {
  context: Context;
  /** Operators between operands so far, since the last comma. */
  operators: number;
  /** Signs before operands since the last comma: each may be a level (`x ^ -1 ^ -1`). */
  signs: number;
  /** `offset`, `@` and ranges of the operand that came last. */
  modifiers: number;
  /** What opened it: `(`, `[`, `{`; '' outside of all brackets. */
  readonly bracket: string;
  /** Whether an operand is due after the closing bracket. */
  readonly operandAfter: boolean;
  /** Whether it holds the labels of an aggregation whose arguments follow. */
  readonly isBeforeArguments: boolean;
}

export const AGGREGATORS: ReadonlySet<string> = new Set(
  (
    'sum avg count min max group stddev stdvar topk bottomk count_values quantile ' +
    'limitk limit_ratio'
  ).split(' '),
);
export const OPERATOR_WORDS: ReadonlySet<string> = new Set(['and', 'or', 'unless', 'atan2']);
const MODIFIERS = new Set('bool on ignoring group_left group_right'.split(' '));
const BEFORE_LABELS = new Set('on ignoring group_left group_right by without'.split(' '));
const FILLS = new Set(['fill', 'fill_left', 'fill_right']);

const DURATION_CONTEXTS: ReadonlySet<Context> = new Set<Context>([
  'subquery or range selector',
  'subquery selector',
  'offset',
]);

export const isDuration = (context: Context): boolean => DURATION_CONTEXTS.has(context);
export const isLabels = (context: Context): boolean =>
  context === 'grouping opts' || context === 'label matching';

/** Call `read` for the next token, then look, then `accept` it. */
export class Walk {
  readonly query: string;
  readonly tokens: Tokens;
  /** The two tokens before, words in lower case; '' at the start. */
  before = '';
  beforeThat = '';
  beforeStart = 0;
  /** An operand is due, not an operator. */
  wantsOperand = true;
  /** After `offset` and any signs: a duration is due. */
  inOffset = false;
  /** What the last closing bracket closed. */
  closed: Level | null = null;
  readonly #levels: Level[] = [
    {
      context: '',
      operators: 0,
      signs: 0,
      modifiers: 0,
      bracket: '',
      operandAfter: false,
      isBeforeArguments: false,
    },
  ];

  constructor(query: string) {
    this.query = query;
    this.tokens = new Tokens(query);
  }

  /** Brackets that are open. */
  get depth(): number {
    return this.#levels.length - 1;
  }

  get level(): Level {
    return this.#levels.at(-1)!;
  }

  /** Moves to the next token that is no comment. */
  read(): void {
    do this.tokens.next();
    while (this.tokens.kind === 'comment');
  }

  /** Whether a parenthesis opens right after the current token. */
  callFollows(): boolean {
    FOLLOWING_PARENTHESIS.lastIndex = this.tokens.end;
    return FOLLOWING_PARENTHESIS.test(this.query);
  }

  /** What a parenthesis opened by the current token would hold. */
  contextOfParenthesis(): Context {
    const { before } = this;
    if (this.inOffset) return 'offset';
    if (isDuration(this.level.context)) return this.level.context;
    if (BEFORE_LABELS.has(before)) return 'grouping opts';
    if (FILLS.has(before)) return 'fill modifier';
    if (this.beforeThat === '@') return '@';
    if (this.wantsOperand) return '';
    return AGGREGATORS.has(before) || before === ')' ? 'aggregation' : 'function call';
  }

  /** Takes the current token, `word` in lower case, as read. */
  accept(word: string): void {
    const { kind, start } = this.tokens;
    if (kind === 'word') this.#acceptWord(word);
    else if (kind === 'mark') this.#acceptMark(word);
    else {
      this.wantsOperand = false;
      this.inOffset = false;
    }
    this.beforeThat = this.before;
    this.before = kind === 'string' ? '"' : word;
    this.beforeStart = start;
  }

  #acceptWord(word: string): void {
    if (isLabels(this.level.context)) return;
    if (this.wantsOperand) {
      if (!MODIFIERS.has(word)) this.wantsOperand = false;
    } else if (OPERATOR_WORDS.has(word)) {
      this.#acceptOperator();
    } else if (word === 'offset') {
      this.#acceptModifier();
      this.inOffset = true;
    }
  }

  #acceptMark(mark: string): void {
    switch (mark) {
      case '(': {
        const context = this.contextOfParenthesis();
        const isMatching = BEFORE_LABELS.has(this.before) && !/^(?:by|without)$/.test(this.before);
        return this.#open(context, isMatching || context === 'fill modifier');
      }
      case '{':
        return this.#open('label matching', false);
      case '[':
        this.#acceptModifier();
        return this.#open('subquery or range selector', false);
      case ')':
      case '}':
      case ']':
        if (this.depth > 0) this.closed = this.#levels.pop()!;
        this.wantsOperand = this.closed?.operandAfter ?? false;
        return;
      case ':':
      case ',':
        if (mark === ':') this.level.context = 'subquery selector';
        this.level.operators = 0;
        this.level.signs = 0;
        this.level.modifiers = 0;
        this.wantsOperand = true;
        return;
      case '@':
        return this.#acceptModifier();
      default:
        if (!this.wantsOperand) this.#acceptOperator();
        else if (++this.level.signs > DEPTH_MAX) this.tooDeep(this.tokens.start);
    }
  }

  #acceptOperator(): void {
    if (++this.level.operators > CHAIN_MAX) {
      const message = `expression has more than ${CHAIN_MAX} operators in a row`;
      parseError(this.query, this.tokens.start, message);
    }
    this.level.modifiers = 0;
    this.wantsOperand = true;
  }

  #acceptModifier(): void {
    if (++this.level.modifiers > MODIFIERS_MAX) this.tooDeep(this.tokens.start);
    this.wantsOperand = true;
  }

  #open(context: Context, operandAfter: boolean): void {
    this.#levels.push({
      context,
      operators: 0,
      signs: 0,
      modifiers: 0,
      bracket: this.tokens.word,
      operandAfter,
      isBeforeArguments:
        context === 'grouping opts' && !operandAfter && AGGREGATORS.has(this.beforeThat),
    });
    if (this.depth > DEPTH_MAX) this.tooDeep(this.tokens.start);
    this.wantsOperand = true;
    this.inOffset = false;
  }

  tooDeep(offset: number): never {
    tooDeep(this.query, offset);
  }
}

/** @throws CanopyError `bad_data`, always. */
export function tooDeep(query: string, offset: number): never {
  parseError(query, offset, `expression is nested more than ${DEPTH_MAX} levels deep`);
}

/** Blanks and comments, then a parenthesis. */
const FOLLOWING_PARENTHESIS = /(?:[ \t\r\n]|#[^\r\n]*(?:[\r\n]|$))*\(/y;
const OPERATOR_MARKS = new Set('+ - * / % ^ == != < <= > >= </ >/'.split(' '));
export const isOperatorMark = (mark: string): boolean => OPERATOR_MARKS.has(mark);
