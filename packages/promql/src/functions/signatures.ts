/**
 * Names, argument types and result types of all functions: what the checker needs. How they are
 * worked out stands in the tables beside this file, under the same names.
 */
import type { ValueType } from '../syntax/ast.js';

export interface FunctionSignature {
  readonly name: string;
  /** Where more arguments are given than types stand here, the last type goes on. */
  readonly args: readonly ValueType[];
  readonly minArgs: number;
  /** -1: no limit. */
  readonly maxArgs: number;
  readonly returns: ValueType;
  /** Needs `experimentalFunctions`. */
  readonly experimental: boolean;
  /**
   * The result depends on the time of evaluation even where the arguments do not, so it is worked
   * out at every step.
   */
  readonly usesTime: boolean;
}

const table = new Map<string, FunctionSignature>();

/** `variadic`: 0 none; n > 0: the last type is optional, up to n times; -1: any number of times. */
function add(names: string, args: string, returns: ValueType = 'vector', variadic = 0): void {
  const types = (args === '' ? [] : args.split(' ')) as ValueType[];
  const minArgs = variadic === 0 ? types.length : types.length - 1;
  const maxArgs = variadic < 0 ? -1 : variadic === 0 ? types.length : minArgs + variadic;
  for (const name of names.split(' ')) {
    table.set(name, {
      name,
      args: types,
      minArgs,
      maxArgs,
      returns,
      experimental: EXPERIMENTAL.has(name),
      usesTime: USES_TIME.has(name),
    });
  }
}

const EXPERIMENTAL = new Set(
  (
    'double_exponential_smoothing info mad_over_time sort_by_label sort_by_label_desc ' +
    'ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time ' +
    'histogram_quantiles start end step range min_of max_of start_timestamp'
  ).split(' '),
);

const USES_TIME = new Set(
  (
    'days_in_month day_of_month day_of_week day_of_year hour minute month year ' +
    'predict_linear time timestamp'
  ).split(' '),
);

add('abs ceil exp floor ln log2 log10 sgn sqrt deg rad', 'vector');
add('acos acosh asin asinh atan atanh cos cosh sin sinh tan tanh', 'vector');
add('absent sort sort_desc timestamp start_timestamp', 'vector');
add('histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar', 'vector');
add('clamp', 'vector scalar scalar');
add('clamp_max clamp_min', 'vector scalar');
add('round', 'vector scalar', 'vector', 1);
add(
  'days_in_month day_of_month day_of_week day_of_year hour minute month year',
  'vector',
  'vector',
  1,
);
add('histogram_fraction', 'scalar scalar vector');
add('histogram_quantile', 'scalar vector');
add('histogram_quantiles', 'vector string scalar', 'vector', 10);
add('label_replace', 'vector string string string string');
add('label_join', 'vector string string string', 'vector', -1);
add('sort_by_label sort_by_label_desc', 'vector string', 'vector', -1);
add('scalar', 'vector', 'scalar');
add('vector', 'scalar');
add('time pi start end step range', '', 'scalar');
add('min_of max_of', 'scalar scalar', 'scalar');
add('info', 'vector vector', 'vector', 1);
add('absent_over_time avg_over_time changes count_over_time delta deriv first_over_time', 'matrix');
add('idelta increase irate last_over_time mad_over_time max_over_time min_over_time', 'matrix');
add('present_over_time rate resets stddev_over_time stdvar_over_time sum_over_time', 'matrix');
add('ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time', 'matrix');
add('predict_linear', 'matrix scalar');
add('quantile_over_time', 'scalar matrix');
add('double_exponential_smoothing', 'matrix scalar scalar');

/** By name; names are in lower case and matched as they are. */
export const FUNCTIONS: ReadonlyMap<string, FunctionSignature> = table;
