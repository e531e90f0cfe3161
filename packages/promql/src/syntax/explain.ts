/** Why a text is no query, in the words of Prometheus's parser, from where lezer stopped. */
import { FUNCTIONS } from '../functions/signatures.js';
import { isDurationText } from './numbers.js';
import { parseError } from './position.js';
import { quote } from './strings.js';
import { AGGREGATORS, DEPTH_SURE, OPERATOR_WORDS, Walk, isOperatorMark } from './walk.js';

const KEYWORDS = new Set(
  (
    'offset anchored smoothed by without on ignoring group_left group_right bool ' +
    'fill fill_left fill_right start end step range min_of max_of'
  ).split(' '),
);
/** Keywords and operators that may be metric names where an operand is due. */
const NAMES = new Set(
  (
    'by without offset start end step range anchored smoothed fill fill_left fill_right ' +
    'min_of max_of and or unless'
  ).split(' '),
);
const DURATION_CALLS = new Set('step range min_of max_of'.split(' '));
const SHOWN_MAX = 10;
/** Whether Prometheus takes the word, in lower case, for the name of a metric. */
export function isMetricWord(word: string): boolean {
  if (/^(?:inf|nan)$/.test(word)) return false;
  return NAMES.has(word) || !(KEYWORDS.has(word) || OPERATOR_WORDS.has(word));
}

/** Whether Prometheus reads the word as no keyword and no metric's name with a colon. */
function isPlainName(name: string): boolean {
  const lower = name.toLowerCase();
  return name !== '' && !name.includes(':') && isMetricWord(lower) && !NAMES.has(lower);
}

/** @throws CanopyError `bad_data`, always: the token at or after `offset` is not expected. */
export function unexpectedAt(text: string, offset: number): never {
  const walk = walkTo(text, offset);
  const { before, beforeStart, tokens } = walk;
  if (Math.max(walk.depth, walk.level.operators) > DEPTH_SURE) walk.tooDeep(tokens.start);
  if (tokens.word === ')' && before === ',' && isCall(walk)) {
    parseError(text, beforeStart, 'trailing commas not allowed in function call args');
  }
  if (tokens.word === '(' && walk.contextOfParenthesis() === 'function call') {
    const name = text.slice(beforeStart).match(/^[a-zA-Z_:][a-zA-Z0-9_:]*/)?.[0] ?? '';
    if (isPlainName(name) && !FUNCTIONS.has(name)) {
      parseError(text, beforeStart, `unknown function with name ${quote(name)}`);
    }
  }
  const [context, expected] = whereabouts(walk);
  let message = `unexpected ${describeToken(walk)}`;
  if (context !== '') message += ` in ${context}`;
  if (expected !== '') message += `, expected ${expected}`;
  parseError(text, tokens.start, message);
}

/** The same, without a word about what was expected. */
export function unexpectedPlainly(text: string, offset: number): never {
  const walk = walkTo(text, offset);
  parseError(text, walk.tokens.start, `unexpected ${describeToken(walk)}`);
}

function walkTo(text: string, offset: number): Walk {
  const walk = new Walk(text);
  const { tokens } = walk;
  for (walk.read(); tokens.kind !== 'end' && tokens.end <= offset; walk.read()) {
    walk.accept(tokens.kind === 'word' ? tokens.word.toLowerCase() : tokens.word);
  }
  return walk;
}

const isCall = ({ level }: Walk): boolean =>
  level.context === 'function call' || level.context === 'aggregation';

/** What is being read where the current token stands, and what may stand there. */
function whereabouts(walk: Walk): [context: string, expected: string] {
  const { before, beforeThat, wantsOperand, level } = walk;
  if (walk.inOffset) return afterDurationWord(walk, 'offset');
  switch (level.context) {
    case 'label matching':
      return [level.context, expectedInMatchers(before, beforeThat)];
    case 'grouping opts':
      return [level.context, /^[(,]$/.test(before) ? 'label' : '"," or ")"'];
    case 'fill modifier':
      return [level.context, wantsOperand ? 'number' : '")"'];
    case '@':
      return [level.context, '")"'];
    case 'offset':
    case 'subquery or range selector':
    case 'subquery selector':
      return afterDurationWord(walk, level.context);
  }
  if (before === '@' || (/^[+-]$/.test(before) && beforeThat === '@')) return ['@', 'timestamp'];
  if (beforeThat === '@' && /^(?:start|end)$/.test(before)) return ['@', '"("'];
  if (/^(?:on|ignoring)$/.test(before)) return ['grouping opts', '"("'];
  if (wantsOperand) return ['', ''];
  const followsAggregation =
    AGGREGATORS.has(beforeThat) || (beforeThat === ')' && walk.closed?.context === 'aggregation');
  if (/^(?:by|without)$/.test(before) && followsAggregation) {
    return ['grouping opts', '"("'];
  }
  if (before === ')' && walk.closed?.isBeforeArguments) return ['aggregation', '"("'];
  return isCall(walk) ? [level.context, '"," or ")"'] : ['', ''];
}

function expectedInMatchers(before: string, beforeThat: string): string {
  if (before === '{' || before === ',') return 'identifier or "}"';
  if (/^(?:=|!=|=~|!~)$/.test(before)) return 'string';
  if (/^(?:=|!=|=~|!~)$/.test(beforeThat)) return '"," or "}"';
  return 'label matching operator';
}

function afterDurationWord(walk: Walk, context: string): [string, string] {
  const isEmptyCall = walk.before === '(' && /^(?:step|range)$/.test(walk.beforeThat);
  if (walk.wantsOperand && !isEmptyCall) return [context, 'duration'];
  if (DURATION_CALLS.has(walk.before)) return [context, '"("'];
  if (context === 'offset' || walk.level.bracket === '(') return [context, '")"'];
  return context === 'subquery selector' ? [context, '"]"'] : ['subquery or range', '":" or "]"'];
}

/** The current token in the words of Prometheus's errors. */
function describeToken(walk: Walk): string {
  const { kind, word } = walk.tokens;
  const lower = word.toLowerCase();
  const isLabel = walk.level.context === 'label matching';
  switch (kind) {
    case 'end':
      return 'end of input';
    case 'mark':
      return isOperatorMark(word) && !isLabel ? `<op:${word}>` : `"${word}"`;
    case 'word':
      if (isLabel) return `identifier ${JSON.stringify(word)}`;
      if (lower === 'inf' || lower === 'nan') return `number ${JSON.stringify(lower)}`;
      if (OPERATOR_WORDS.has(lower)) return `<op:${lower}>`;
      if (AGGREGATORS.has(lower)) return `<aggr:${lower}>`;
      if (KEYWORDS.has(lower)) return `<${lower}>`;
      return `${word.includes(':') ? 'metric identifier' : 'identifier'} ${JSON.stringify(word)}`;
    case 'number':
      return `${isDurationText(word) ? 'duration' : 'number'} ${shorten(word)}`;
    default:
      return `${kind} ${shorten(word)}`;
  }
}

const shorten = (text: string): string =>
  text.length > SHOWN_MAX ? `${JSON.stringify(text.slice(0, SHOWN_MAX))}...` : JSON.stringify(text);
