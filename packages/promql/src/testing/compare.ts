/** Answers against the expectations of a script. */
import { type Labels, type QueryValue, formatLabels, labelsKey } from '@canopy/model';
import { formatFloat } from '../float.js';
import type { SequenceValue } from './notation.js';
import type { Evaluation } from './script.js';

/** Relative difference up to which two numbers count as equal. */
const TOLERANCE = 1e-6;

export function almostEqual(a: number, b: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  if (a === b) return true;
  if (a === 0 || b === 0) return false;
  const sum = Math.abs(a) + Math.abs(b);
  return Math.abs(a - b) / Math.min(sum, Number.MAX_VALUE) < TOLERANCE;
}

/** '' where the answer is as expected. `middleOfRange`: only the second of three points counts. */
export function compareAnswer(
  value: QueryValue,
  evaluation: Evaluation & { readonly middleOfRange?: boolean },
): string {
  const { expected, at } = evaluation;
  if (value.type === 'string') {
    return value.value === expected.text ? '' : `got the string ${JSON.stringify(value.value)}`;
  }
  if (expected.text !== undefined) return `got a ${value.type}, not a string`;
  if (value.type === 'scalar') {
    if (expected.scalar === undefined) return `got the scalar ${formatFloat(value.value)}`;
    return almostEqual(value.value, expected.scalar)
      ? ''
      : `got ${formatFloat(value.value)}, not ${formatFloat(expected.scalar)}`;
  }
  if (value.type === 'vector') return compareVector(value.samples, evaluation);
  if (evaluation.middleOfRange === true) {
    const samples = value.series.flatMap(({ labels, times, values }) => {
      const index = times.indexOf(at.start);
      return index < 0 ? [] : [{ labels, value: values[index] }];
    });
    const scalar = expected.scalar;
    if (scalar !== undefined) {
      return samples.length === 1 && almostEqual(samples[0].value, scalar)
        ? ''
        : `got ${samples.map((sample) => formatFloat(sample.value)).join()}`;
    }
    return compareVector(samples, evaluation);
  }
  const grid = expected.rangeVector ?? at;
  return compareMatrix(value.series, evaluation, grid);
}

function compareVector(
  samples: ReadonlyArray<{ labels: Labels; value: number }>,
  { expected }: Evaluation,
): string {
  if (expected.scalar !== undefined) return 'got a vector, not a scalar';
  const wanted = new Map<string, { labels: Labels; value: SequenceValue; place: number }>();
  expected.series.forEach(({ labels, values }, place) => {
    wanted.set(labelsKey(labels), { labels, value: values[0], place });
  });
  for (let i = 0; i < samples.length; i++) {
    const { labels, value } = samples[i];
    const want = wanted.get(labelsKey(labels));
    const got = `${formatLabels(labels)} ${formatFloat(value)}`;
    if (want === undefined) return `unexpected ${got}`;
    if (want.value.kind !== 'value') return `${got}, but a ${want.value.kind} is expected`;
    if (!almostEqual(value, want.value.value)) {
      return `${got}, not ${formatFloat(want.value.value)}`;
    }
    if (expected.ordered && want.place !== i) return `${got} at place ${i}, not ${want.place}`;
    wanted.delete(labelsKey(labels));
  }
  for (const { labels } of wanted.values()) return `${formatLabels(labels)} is missing`;
  return '';
}

function compareMatrix(
  series: ReadonlyArray<{ labels: Labels; times: Float64Array; values: Float64Array }>,
  { expected }: Evaluation,
  grid: { start: number; end: number; step: number },
): string {
  const wanted = new Map(expected.series.map((line) => [labelsKey(line.labels), line]));
  for (const { labels, times, values } of series) {
    const name = formatLabels(labels);
    const line = wanted.get(labelsKey(labels));
    if (line === undefined)
      return `unexpected ${name} with ${[...values].map(formatFloat).join(' ')}`;
    wanted.delete(labelsKey(labels));
    const at = new Map([...times].map((time, i) => [time, values[i]]));
    for (let k = 0; k < line.values.length; k++) {
      const want = line.values[k];
      const got = at.get(grid.start + k * grid.step);
      at.delete(grid.start + k * grid.step);
      const shown = got === undefined ? 'nothing' : formatFloat(got);
      if (
        want.kind === 'none'
          ? got === undefined
          : want.kind === 'value' && got !== undefined && almostEqual(got, want.value)
      ) {
        continue;
      }
      const wish = want.kind === 'value' ? formatFloat(want.value) : want.kind;
      return `${name} has ${shown} at point ${k}, not ${wish}`;
    }
    for (const [time, value] of at) return `${name} has ${formatFloat(value)} at ${time} too`;
  }
  for (const line of wanted.values()) {
    if (line.values.every((value) => value.kind === 'none')) continue;
    return `${formatLabels(line.labels)} is missing`;
  }
  return '';
}
