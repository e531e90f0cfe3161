/** Function calls: arguments worked out, then the function's own table or file. */
import { CanopyError, type Labels, METRIC_NAME, NO_LABELS, labelValue } from '@canopy/model';
import { histogramFraction, histogramQuantiles } from '../functions/classic-histograms.js';
import { CALENDAR, ELEMENTWISE, goMax, goMin, roundTo } from '../functions/elementwise.js';
import { EXTENDED_KERNELS } from '../functions/extended.js';
import { addInfo } from '../functions/info.js';
import { OVER_TIME_KERNELS } from '../functions/over-time.js';
import type { RangeKernel } from '../functions/range-kernel.js';
import { RATE_KERNELS } from '../functions/rates.js';
import { START_TIMES_KERNELS } from '../functions/start-times.js';
import { TREND_KERNELS } from '../functions/trends.js';
import {
  absence,
  absentLabels,
  labelJoin,
  labelReplace,
  sortByLabels,
  sortByValue,
  toScalar,
} from '../functions/vector-functions.js';
import { infoGrid, infoSelection } from '../plan/info.js';
import {
  type Call,
  type MatrixSelector,
  type Subquery,
  typeOf,
  unwrapParens,
} from '../syntax/ast.js';
import { isValidLabelName, quote } from '../syntax/strings.js';
import type { Annotations } from './annotations.js';
import type { Rules } from './budget.js';
import { type Columns, emptyColumns } from './columns.js';
import type { Evaluator } from './evaluator.js';
import { type Grid, sameGrid } from './grid.js';
import { dropNames } from './labels.js';
import { applyRangeFunction } from './ranges.js';
import { selectLatest } from './select.js';

const RANGE_KERNELS: Readonly<Record<string, RangeKernel>> = {
  ...RATE_KERNELS,
  ...OVER_TIME_KERNELS,
  ...TREND_KERNELS,
};
const KEEPS_NAME: ReadonlySet<string> = new Set(['last_over_time', 'first_over_time']);
const COUNTER_SUFFIX = /(?:_total|_sum|_count|_bucket)$/;

/** Calls of functions that give a scalar. */
export async function callScalarFunction(
  evaluator: Evaluator,
  node: Call,
  grid: Grid,
): Promise<Float64Array> {
  const { frame } = evaluator.plan;
  const constant = (value: number): Float64Array => new Float64Array(grid.count).fill(value);
  switch (node.func.name) {
    case 'pi':
      return constant(Math.PI);
    case 'start':
      return constant(frame.start / 1000);
    case 'end':
      return constant(frame.end / 1000);
    case 'step':
      return constant(frame.step / 1000);
    case 'range':
      return constant((frame.end - frame.start) / 1000);
    case 'time':
      return secondsOf(grid);
    case 'scalar': {
      const input = await evaluator.vector(node.args[0], grid);
      evaluator.budget.release(input);
      return toScalar(input).subarray(0, grid.count);
    }
    case 'min_of':
    case 'max_of': {
      const pick = node.func.name === 'min_of' ? goMin : goMax;
      const left = await evaluator.scalar(node.args[0], grid);
      const right = await evaluator.scalar(node.args[1], grid);
      return left.map((value, k) => pick(value, right[k]));
    }
    default:
      return notSupported(node);
  }
}

/** A loop: `Float64Array.from` with a function takes 40 times as long. */
function secondsOf(grid: Grid): Float64Array {
  const seconds = new Float64Array(grid.count);
  for (let k = 0; k < grid.count; k++) seconds[k] = (grid.start + k * grid.step) / 1000;
  return seconds;
}

function notSupported(node: Call): never {
  throw new CanopyError('execution', `function "${node.func.name}" is not supported yet`);
}

/** Calls of functions that give an instant vector. */
export async function callVectorFunction(
  evaluator: Evaluator,
  node: Call,
  grid: Grid,
): Promise<Columns> {
  const { name } = node.func;
  if (RANGE_KERNELS[name] !== undefined) return callRangeFunction(evaluator, node, grid);
  const elementwise = ELEMENTWISE[name];
  if (elementwise !== undefined) {
    return mapValues(evaluator, await evaluator.vector(node.args[0], grid), elementwise);
  }
  if (CALENDAR[name] !== undefined) return callCalendar(evaluator, node, grid);
  switch (name) {
    case 'vector':
      return oneRow(await evaluator.scalar(node.args[0], grid));
    case 'clamp':
    case 'clamp_min':
    case 'clamp_max':
      return callClamp(evaluator, node, grid);
    case 'round': {
      const to = node.args.length > 1 ? await evaluator.scalar(node.args[1], grid) : null;
      const input = await evaluator.vector(node.args[0], grid);
      return mapValues(evaluator, input, (value, k) => roundTo(value, to === null ? 1 : to[k]));
    }
    case 'timestamp':
      return callTimestamp(evaluator, node, grid);
    case 'start_timestamp':
      return callStartTimestamp(evaluator, node, grid);
    case 'absent': {
      const input = await evaluator.vector(node.args[0], grid);
      evaluator.budget.release(input);
      return evaluator.budget.settle(absence(input, absentLabels(node.args[0])));
    }
    case 'label_replace':
      return labelReplace(
        await evaluator.vector(node.args[0], grid),
        texts(node),
        evaluator.budget,
      );
    case 'label_join':
      return labelJoin(await evaluator.vector(node.args[0], grid), texts(node), evaluator.budget);
    case 'sort':
    case 'sort_desc':
    case 'sort_by_label':
    case 'sort_by_label_desc':
      return callSort(evaluator, node, grid);
    case 'info':
      return callInfo(evaluator, node, grid);
    case 'histogram_quantile':
    case 'histogram_quantiles':
    case 'histogram_fraction':
      return callHistogram(evaluator, node, grid);
    case 'histogram_avg':
    case 'histogram_count':
    case 'histogram_sum':
    case 'histogram_stddev':
    case 'histogram_stdvar':
      return unsupportedHistograms(`function "${name}"`);
    default:
      return notSupported(node);
  }
}

function oneRow(values: Float64Array): Columns {
  return {
    steps: values.length,
    labels: [NO_LABELS],
    values,
    present: new Uint8Array(values.length).fill(1),
    held: 0,
  };
}

/** The arguments that are texts. */
function texts(node: Call): string[] {
  const found: string[] = [];
  for (const arg of node.args) {
    const inner = unwrapParens(arg);
    if (inner.kind === 'string') found.push(inner.value);
  }
  return found;
}

/** In place; the result is not of the metric any more and loses its name. */
async function mapValues(
  { budget }: Evaluator,
  columns: Columns,
  map: (value: number, step: number) => number,
): Promise<Columns> {
  const { steps, values, present } = columns;
  for (let at = 0; at < values.length; ) {
    for (let k = 0; k < steps; k++, at++) {
      if (present[at] !== 0) values[at] = map(values[at], k);
    }
    if (budget.due(steps * 20)) await budget.pause();
  }
  return dropNames(columns, budget);
}

async function callCalendar(evaluator: Evaluator, node: Call, grid: Grid): Promise<Columns> {
  const part = CALENDAR[node.func.name];
  if (node.args.length > 0) {
    return mapValues(evaluator, await evaluator.vector(node.args[0], grid), part);
  }
  const values = secondsOf(grid);
  for (let k = 0; k < values.length; k++) values[k] = part(values[k]);
  return oneRow(values);
}

async function callClamp(evaluator: Evaluator, node: Call, grid: Grid): Promise<Columns> {
  const bound = (at: number): Promise<Float64Array> => evaluator.scalar(node.args[at], grid);
  const { name } = node.func;
  const least = name === 'clamp_max' ? null : await bound(1);
  const most = name === 'clamp_min' ? null : await bound(name === 'clamp' ? 2 : 1);
  const columns = await evaluator.vector(node.args[0], grid);
  if (least !== null && most !== null) clearWhere(columns, (k) => most[k] < least[k]);
  return mapValues(evaluator, columns, (value, k) =>
    goMax(
      least === null ? Number.NEGATIVE_INFINITY : least[k],
      goMin(most === null ? Number.POSITIVE_INFINITY : most[k], value),
    ),
  );
}

function clearWhere(columns: Columns, isCleared: (step: number) => boolean): void {
  const { steps, present } = columns;
  for (let at = 0, k = 0; at < present.length; at++) {
    if (isCleared(k)) present[at] = 0;
    if (++k === steps) k = 0;
  }
}

/** Of a selector itself the samples' own times; of anything else the time of evaluation. */
async function callTimestamp(evaluator: Evaluator, node: Call, grid: Grid): Promise<Columns> {
  const arg = unwrapParens(node.args[0]);
  if (arg.kind === 'selector') {
    return dropNames(await evaluator.selector(arg, grid, 'time'), evaluator.budget);
  }
  const columns = await evaluator.vector(arg, grid);
  return mapValues(evaluator, columns, (_value, k) => (grid.start + k * grid.step) / 1000);
}

/** Of selected samples only, as in Prometheus: what is worked out has no start. */
async function callStartTimestamp(evaluator: Evaluator, node: Call, grid: Grid): Promise<Columns> {
  const { budget } = evaluator;
  const arg = unwrapParens(node.args[0]);
  if (arg.kind !== 'selector' || !budget.rules.startTimestamps) return emptyColumns(grid.count);
  return dropNames(await evaluator.selector(arg, grid, 'start'), budget);
}

async function callSort(evaluator: Evaluator, node: Call, grid: Grid): Promise<Columns> {
  const { name } = node.func;
  const columns = await evaluator.vector(node.args[0], grid);
  const { frame } = evaluator.plan;
  if (frame.step > 0 && sameGrid(grid, rangeGrid(frame))) {
    evaluator.annotations.sortInRangeQuery(node.start);
  }
  // With several steps there is no one order; results of range queries are in order of labels.
  if (columns.steps !== 1) return columns;
  const descending = name.endsWith('_desc');
  return name.startsWith('sort_by_label')
    ? sortByLabels(columns, texts(node), descending, evaluator.budget)
    : sortByValue(columns, descending, evaluator.budget);
}

function rangeGrid(frame: { start: number; end: number; step: number }): Grid {
  const count = Math.floor((frame.end - frame.start) / frame.step) + 1;
  return { start: frame.start, step: frame.step, count };
}

async function callInfo(evaluator: Evaluator, node: Call, grid: Grid): Promise<Columns> {
  const { plan, budget } = evaluator;
  const base = await evaluator.vector(node.args[0], grid);
  const refs = infoGrid(node, grid, plan.frame);
  const series = evaluator.seriesOf(node);
  const info = await selectLatest(series, refs, plan.frame.lookback, 'time', budget);
  const out = await addInfo(base, info, infoSelection(node), budget);
  budget.release(info);
  if (out !== base) budget.release(base);
  return budget.settle(out);
}

async function callHistogram(evaluator: Evaluator, node: Call, grid: Grid): Promise<Columns> {
  const { budget, annotations } = evaluator;
  const vectorArg = node.args.find((arg) => typeOf(arg) === 'vector')!;
  const scalars: Array<{ byStep: Float64Array; at: number }> = [];
  for (const arg of node.args) {
    if (typeOf(arg) !== 'scalar') continue;
    scalars.push({ byStep: await evaluator.scalar(arg, grid), at: arg.start });
  }
  const input = await evaluator.vector(vectorArg, grid);
  const context = { input, grid, budget, annotations, vectorAt: vectorArg.start };
  let out: Columns;
  if (node.func.name === 'histogram_fraction') {
    out = await histogramFraction(context, scalars[0].byStep, scalars[1].byStep);
  } else {
    const [label] = texts(node);
    if (label !== undefined && !isValidLabelName(label)) {
      throw new CanopyError('execution', `invalid label name ${quote(label)}`);
    }
    out = await histogramQuantiles(context, scalars, label ?? null);
  }
  budget.release(input);
  return budget.settle(out);
}

async function callRangeFunction(evaluator: Evaluator, node: Call, grid: Grid): Promise<Columns> {
  const { name } = node.func;
  const { budget, annotations } = evaluator;
  const argument = rangeArgument(node)!;
  const kernel = kernelFor(name, argument);
  const params: Float64Array[] = [];
  for (const arg of node.args) {
    if (typeOf(arg) === 'scalar') params.push(await evaluator.scalar(arg, grid));
  }
  const input = await evaluator.range(argument, grid);
  const at = node.args[0].start;
  const checksCounter = name === 'rate' || name === 'increase';
  const columns = await applyRangeFunction(
    {
      kernel,
      startTimesKernel: budget.rules.startTimestamps ? START_TIMES_KERNELS[name] : undefined,
      input,
      grid,
      params,
      // Whether anything is there at all does not depend on names.
      keepsName: KEEPS_NAME.has(name) || name === 'absent_over_time',
      report: {
        invalidQuantile: (q) => annotations.invalidQuantile(q, at),
        overlappingStarts: (labels) =>
          annotations.overlappingStarts(labelValue(labels, METRIC_NAME), at),
      },
      onResult: checksCounter
        ? (labels) => tellNonCounter(labels, budget.rules, annotations, at)
        : null,
    },
    budget,
  );
  if (input.columns !== null) budget.release(input.columns);
  if (name !== 'absent_over_time') return columns;
  budget.release(columns);
  return budget.settle(absence(columns, absentLabels(node.args[0])));
}

/** By its type where types are labels, else by its name. */
function tellNonCounter(labels: Labels, rules: Rules, annotations: Annotations, at: number): void {
  const metric = labelValue(labels, METRIC_NAME);
  if (metric === '') return;
  if (rules.typeAndUnitLabels) {
    const type = labelValue(labels, '__type__');
    if (type !== 'counter' && type !== 'histogram') {
      annotations.possibleNonCounterType(metric, type, at);
    }
  } else if (!COUNTER_SUFFIX.test(metric)) annotations.possibleNonCounter(metric, at);
}

/** @throws CanopyError `execution` where the function does not know what to do with an extension. */
function kernelFor(name: string, argument: MatrixSelector | Subquery): RangeKernel {
  const extension = argument.kind === 'matrix' ? argument.selector.extension : null;
  if (extension === null) return RANGE_KERNELS[name];
  const kernels = EXTENDED_KERNELS[extension];
  if (kernels[name] !== undefined) return kernels[name];
  const known = Object.keys(kernels).sort().join(', ');
  throw new CanopyError(
    'execution',
    `${extension} modifier can only be used with: ${known} - not with ${name}`,
  );
}

/** The range vector argument of a call, where it has one. */
function rangeArgument(node: Call): MatrixSelector | Subquery | null {
  for (const arg of node.args) {
    const inner = unwrapParens(arg);
    if (inner.kind === 'matrix' || inner.kind === 'subquery') return inner;
  }
  return null;
}

function unsupportedHistograms(what: string): never {
  throw new CanopyError(
    'execution',
    `${what} needs native histograms, which are not supported yet`,
  );
}
