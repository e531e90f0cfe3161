/**
 * Runs scripts in Prometheus's load/eval language (promqltest): `load` fills a MemoryQueryable,
 * each
 * `eval` asks the engine and compares.
 */
import { type QueryResult, SampleState, asDuration, asTime, errorText } from '@canopy/model';
import type { Engine, EngineOptions } from '../engine.js';
import { unquote } from '../syntax/strings.js';
import { compareAnswer } from './compare.js';
import { fixedTo, otherTimes } from './fixed-time.js';
import { MemoryQueryable } from './memory.js';
import {
  type SeriesLine,
  parseSeriesLine,
  parseStartsLine,
  parseTime,
  toNumber,
} from './notation.js';

/** What an eval expects, as its lines say. */
export interface Expectations {
  series: SeriesLine[];
  scalar: number | undefined;
  text: string | undefined;
  ordered: boolean;
  rangeVector: { start: number; end: number; step: number } | undefined;
  fails: TextMatch | undefined;
  warnings: TextMatch[];
  infos: TextMatch[];
  noWarnings: boolean;
  noInfos: boolean;
}

export type TextMatch = (text: string) => boolean;

export interface Evaluation {
  readonly line: number;
  readonly query: string;
  readonly at: { readonly start: number; readonly end: number; readonly step: number };
  readonly isRange: boolean;
  readonly expected: Expectations;
}

export interface EvaluationOutcome {
  readonly line: number;
  readonly query: string;
  /** '' where all was as expected. */
  readonly problem: string;
}

type Command =
  | { readonly kind: 'clear' }
  | {
      readonly kind: 'load';
      readonly line: number;
      readonly step: number;
      readonly series: string[];
    }
  | { readonly kind: 'eval'; readonly evaluation: Evaluation };

/** Throws an Error that names the line for a script that is not well formed. */
export function parseScript(text: string): Command[] {
  const commands: Command[] = [];
  const lines = text.split('\n').map((line) => line.trim());
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    if (line === '' || line.startsWith('#')) continue;
    const block: string[] = [];
    const first = i;
    while (i + 1 < lines.length && lines[i + 1] !== '') {
      const next = lines[++i];
      if (!next.startsWith('#')) block.push(next);
    }
    try {
      if (line === 'clear') commands.push({ kind: 'clear' });
      else if (/^load(?:_with_nhcb)?\s/.test(line)) {
        const step = parseTime(line.split(/\s+/)[1]);
        commands.push({ kind: 'load', line: first + 1, step, series: block });
      } else commands.push({ kind: 'eval', evaluation: parseEval(line, first + 1, block) });
    } catch (error) {
      throw new Error(`line ${first + 1}: ${errorText(error)}`, { cause: error });
    }
  }
  return commands;
}

const INSTANT = /^eval(?:_(fail|warn|info|ordered))?\s+instant\s+(?:at\s+(\S+)\s+)?(.+)$/;
const RANGE =
  /^eval(?:_(fail|warn|info|ordered))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)$/;

function parseEval(line: string, number: number, block: readonly string[]): Evaluation {
  const expected: Expectations = {
    series: [],
    scalar: undefined,
    text: undefined,
    ordered: false,
    rangeVector: undefined,
    fails: undefined,
    warnings: [],
    infos: [],
    noWarnings: false,
    noInfos: false,
  };
  const instant = INSTANT.exec(line);
  const range = RANGE.exec(line);
  const flag = instant?.[1] ?? range?.[1];
  if (flag !== undefined) expectFlag(expected, flag, '');
  for (const text of block) parseExpectation(expected, text);
  if (instant !== null) {
    const time = parseTime(instant[2] ?? '0');
    const at = { start: time, end: time, step: 0 };
    return { line: number, query: instant[3], at, isRange: false, expected };
  }
  if (range === null) throw new Error(`not a command: ${line}`);
  const at = { start: parseTime(range[2]), end: parseTime(range[3]), step: parseTime(range[4]) };
  return { line: number, query: range[5], at, isRange: true, expected };
}

function parseExpectation(expected: Expectations, line: string): void {
  const old = /^expected_fail_(message|regexp)\s+(.*)$/.exec(line);
  if (old !== null) {
    expected.fails = textMatch(old[1] === 'message' ? `msg:${old[2]}` : `regex:${old[2]}`);
    return;
  }
  const vector = /^expect range vector from (\S+) to (\S+) step (\S+)$/.exec(line);
  if (vector !== null) {
    const [start, end, step] = vector.slice(1).map(parseTime);
    expected.rangeVector = { start, end, step };
    return;
  }
  const string = /^expect string\s+(.*)$/.exec(line);
  if (string !== null) {
    expected.text = unquote(string[1]) ?? string[1];
    return;
  }
  const flag = /^expect\s+(\w+)\s*(.*)$/.exec(line);
  if (flag !== null) return expectFlag(expected, flag[1], flag[2]);
  if (/^[+-]?(?:[0-9.]|inf$|nan$)/i.test(line)) {
    expected.scalar = toNumber(line);
    return;
  }
  expected.series.push(parseSeriesLine(line));
}

function expectFlag(expected: Expectations, flag: string, detail: string): void {
  const match = textMatch(detail);
  if (flag === 'fail') expected.fails = match;
  else if (flag === 'warn') expected.warnings.push(match);
  else if (flag === 'info') expected.infos.push(match);
  else if (flag === 'no_warn') expected.noWarnings = true;
  else if (flag === 'no_info') expected.noInfos = true;
  else if (flag === 'ordered') expected.ordered = true;
  else throw new Error(`unknown expectation: ${flag}`);
}

function textMatch(detail: string): TextMatch {
  const regexp = /^regex:\s*(.*)$/.exec(detail);
  if (regexp !== null) {
    const pattern = new RegExp(regexp[1]);
    return (text) => pattern.test(text);
  }
  const message = /^msg:\s*(.*)$/.exec(detail);
  return message === null ? () => true : (text) => text === message[1];
}

/** Makes the engine that a script is run on; called once. */
export type MakeEngine = (queryable: EngineOptions['queryable']) => Engine;

/** Outcomes of all evals of a script, in order. */
export async function runScript(
  text: string,
  makeEngine: MakeEngine,
): Promise<EvaluationOutcome[]> {
  const queryable = new MemoryQueryable();
  const engine = makeEngine(queryable);
  const outcomes: EvaluationOutcome[] = [];
  for (const command of parseScript(text)) {
    if (command.kind === 'clear') queryable.clear();
    else if (command.kind === 'load') load(queryable, command.step, command.series);
    else {
      const { evaluation } = command;
      const problem = await runEval(engine, evaluation);
      outcomes.push({ line: evaluation.line, query: evaluation.query, problem });
    }
  }
  return outcomes;
}

function load(queryable: MemoryQueryable, step: number, lines: readonly string[]): void {
  let starts: ReadonlyArray<number | undefined> = [];
  for (const line of lines) {
    const ages = parseStartsLine(line);
    if (ages !== undefined) {
      starts = ages.map((age, i) => (age === undefined ? undefined : i * step + age));
      continue;
    }
    const { labels, values } = parseSeriesLine(line);
    values.forEach((item, i) => {
      const time = i * step;
      if (item.kind === 'value') {
        queryable.append(labels, time, item.value, SampleState.value, starts[i] ?? 0);
      } else if (item.kind === 'stale') queryable.append(labels, time, 0, SampleState.stale);
    });
    starts = [];
  }
}

async function runEval(engine: Engine, evaluation: Evaluation): Promise<string> {
  const { query, at, isRange, expected } = evaluation;
  const first = await ask(() =>
    isRange
      ? engine.range(query, asTime(at.start), asTime(at.end), asDuration(at.step))
      : engine.instant(query, asTime(at.start)),
  );
  const problem = judge(first, evaluation);
  if (problem !== '' || isRange || expected.fails !== undefined) return problem;
  const repeatable =
    !expected.ordered &&
    expected.text === undefined &&
    expected.rangeVector === undefined &&
    !/\b(?:start|end|step|range)\(\)/.test(query);
  if (!repeatable) return '';
  // The same as the middle of a range query: both ways of evaluation must agree.
  const minute = 60_000;
  const again = await ask(() =>
    engine.range(query, asTime(at.start - minute), asTime(at.start + minute), asDuration(minute)),
  );
  if (again instanceof Error) {
    // Other steps may fail for reasons of their own.
    return '';
  }
  const middle = compareAnswer(again.value, { ...evaluation, middleOfRange: true });
  return middle === '' ? repeatAtOtherTimes(engine, evaluation) : `as a range query: ${middle}`;
}

/** With `@` on every selector the time of evaluation must not matter. */
async function repeatAtOtherTimes(engine: Engine, evaluation: Evaluation): Promise<string> {
  const { query, at } = evaluation;
  const fixed = fixedTo(query, at.start);
  if (fixed === null) return '';
  for (const time of otherTimes(at.start)) {
    const answer = await ask(() => engine.instant(fixed, asTime(time)));
    const problem =
      answer instanceof Error
        ? `failed: ${answer.message}`
        : compareAnswer(answer.value, evaluation);
    if (problem !== '') return `as ${fixed} at ${time} ms: ${problem}`;
  }
  return '';
}

async function ask(run: () => Promise<QueryResult>): Promise<QueryResult | Error> {
  try {
    return await run();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function judge(answer: QueryResult | Error, evaluation: Evaluation): string {
  const { expected } = evaluation;
  if (answer instanceof Error) {
    if (expected.fails === undefined) return `failed: ${answer.message}`;
    return expected.fails(answer.message) ? '' : `failed with another message: ${answer.message}`;
  }
  if (expected.fails !== undefined) return 'should have failed';
  const notes =
    judgeNotes('warning', answer.warnings, expected.warnings, expected.noWarnings) ||
    judgeNotes('info', answer.infos, expected.infos, expected.noInfos);
  return notes || compareAnswer(answer.value, evaluation);
}

function judgeNotes(
  kind: string,
  actual: readonly string[],
  expected: readonly TextMatch[],
  none: boolean,
): string {
  if (none && actual.length > 0) return `unexpected ${kind}: ${actual[0]}`;
  if (expected.length === 0) return '';
  if (actual.length === 0) return `no ${kind}`;
  const unmatched = expected.find((match) => !actual.some(match));
  if (unmatched !== undefined) return `no such ${kind}; there is: ${actual.join('; ')}`;
  const surplus = actual.find((text) => !expected.some((match) => match(text)));
  return surplus === undefined ? '' : `unexpected ${kind}: ${surplus}`;
}
