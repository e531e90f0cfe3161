/** Random queries that are well formed, the same for the same seed. */

/** Uniform in [0, 1); Mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Vocabulary {
  /** Instant selectors without modifiers. */
  readonly selectors: readonly string[];
  readonly ranges: readonly string[];
  /** `offset`, `@`; '' for none. */
  readonly shifts: readonly string[];
  readonly labels: readonly string[];
  readonly scalars: readonly string[];
  readonly rangeFunctions: readonly string[];
  /** Functions over `anchored` and `smoothed` ranges; where not given there are no such ranges. */
  readonly extendedFunctions?: Readonly<Record<'anchored' | 'smoothed', readonly string[]>>;
}

export const SCALARS = ['1', '2.5', 'time()', 'pi()', '1e3', 'NaN', '5m'];
export const RANGE_FUNCTIONS =
  'rate increase delta irate idelta resets changes deriv sum_over_time avg_over_time min_over_time max_over_time count_over_time last_over_time first_over_time present_over_time stddev_over_time stdvar_over_time absent_over_time'.split(
    ' ',
  );
export const EXTENDED_FUNCTIONS = {
  anchored: ['rate', 'increase', 'delta', 'resets', 'changes'],
  smoothed: ['rate', 'increase', 'delta'],
};
const VALUE_FUNCTIONS = 'abs ceil exp sqrt sgn timestamp minute sort absent'.split(' ');

/** A query of the wanted type; `depth` bounds how far it is nested. */
export function randomQuery(
  next: () => number,
  type: 'vector' | 'scalar' | 'matrix',
  depth: number,
  words: Vocabulary,
): string {
  const pick = <T>(options: readonly T[]): T => options[Math.floor(next() * options.length)];
  const inner = (wanted: 'vector' | 'scalar' | 'matrix'): string =>
    randomQuery(next, wanted, depth - 1, words);
  const selector = (): string => pick(words.selectors);
  const labels = (): string => words.labels.filter(() => next() < 0.5).join(', ');
  if (type === 'matrix') {
    return depth > 0 && next() < 0.4
      ? `(${inner('vector')})[${pick(words.ranges)}:${pick(['', '1m', '30s'])}]${pick(words.shifts)}`
      : `${selector()}[${pick(words.ranges)}]${pick(words.shifts)}`;
  }
  if (type === 'scalar') {
    if (depth <= 0) return pick(words.scalars);
    return pick([
      () => `scalar(${inner('vector')})`,
      () => `(${inner('scalar')} ${pick('+ - * / % ^'.split(' '))} ${inner('scalar')})`,
      () => `-(${inner('scalar')})`,
    ])();
  }
  const { extendedFunctions } = words;
  if (extendedFunctions !== undefined && next() < 0.1) {
    const extension = next() < 0.5 ? 'anchored' : 'smoothed';
    const func = pick(extendedFunctions[extension]);
    return `${func}(${selector()}[${pick(words.ranges)}] ${extension}${pick(words.shifts)})`;
  }
  if (depth <= 0) {
    const extension = extendedFunctions !== undefined && next() < 0.1 ? ' smoothed' : '';
    return selector() + extension + pick(words.shifts);
  }
  const operator = (): string => pick('+ - * / % ^ > <= != == and or unless atan2'.split(' '));
  return pick([
    () => `${pick(words.rangeFunctions)}(${inner('matrix')})`,
    () => `quantile_over_time(${inner('scalar')}, ${inner('matrix')})`,
    () =>
      `${pick(['sum', 'avg', 'max', 'min', 'count', 'stddev', 'group'])} ${pick(['by', 'without'])} (${labels()}) (${inner('vector')})`,
    () => `${pick(['topk', 'bottomk'])} by (${labels()}) (2, ${inner('vector')})`,
    () => `quantile(${inner('scalar')}, ${inner('vector')})`,
    () => `(${inner('vector')} ${operator()} ${inner('vector')})`,
    () => `(${inner('vector')} ${operator()} on (${labels()}) ${inner('vector')})`,
    () =>
      `(${inner('vector')} ${pick(['+', '<'])} ignoring (${labels()}) group_left () ${inner('vector')})`,
    () =>
      `(${inner('vector')} ${pick(['+', '-', '>', '>=', '== bool', '!= bool'])} ${inner('scalar')})`,
    () => `(${inner('scalar')} ${pick(['*', '<', '== bool'])} ${inner('vector')})`,
    () => `label_replace(${inner('vector')}, "a", "$1", "b", "(.*)")`,
    () => `count_values by (${words.labels[0]}) ("v", ${inner('vector')})`,
    () => `clamp(${inner('vector')}, ${inner('scalar')}, ${inner('scalar')})`,
    () => `${pick(VALUE_FUNCTIONS)}(${inner('vector')})`,
    () => `vector(${inner('scalar')})`,
    () => `-(${inner('vector')})`,
  ])();
}
