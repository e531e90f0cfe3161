/**
 * A target whose answer is a function of the number of the scrape: whoever has one value of a scrape knows all the
 * others. It logs every scrape it answered.
 */
import type { SimTime } from './time.js';

/** What one scrape says of one series; `undefined`: it is not there. */
type Law = (number: number) => number | undefined;

const SPECIAL = [-0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324];

/** Scrapes of a series that comes and goes, and of a generation of those that are born and end. */
const AWAY_EVERY = 7;
const GENERATION = 25;
/** From this scrape on a family has another help. */
const NEW_HELP_FROM = 40;

export interface Series {
  readonly name: string;
  /** Labels as exposition text, '' for none. */
  readonly labels: string;
  readonly law: Law;
}

const SERIES: readonly Series[] = [
  { name: 'scrape_number', labels: '', law: (number) => number },
  { name: 'double_total', labels: '', law: (number) => 2 * number },
  { name: 'wave', labels: '', law: (number) => Math.sin(number) },
  { name: 'special', labels: '', law: (number) => SPECIAL[number % SPECIAL.length] },
  { name: 'constant', labels: '', law: () => 42 },
  {
    name: 'now_and_then',
    labels: '',
    law: (number) => (Math.floor(number / AWAY_EVERY) % 2 === 0 ? number : undefined),
  },
];

/** All series of a scrape with their values. */
export function seriesAt(number: number): Array<{ series: Series; value: number }> {
  const found: Array<{ series: Series; value: number }> = [];
  for (const series of SERIES) {
    const value = series.law(number);
    if (value !== undefined) found.push({ series, value });
  }
  const generation = Math.floor(number / GENERATION);
  for (const part of ['a', 'b', 'c']) {
    const labels = `{generation="${generation}",part="${part}"}`;
    found.push({ series: { name: 'born', labels, law: () => number }, value: number });
  }
  return found;
}

export function helpAt(name: string, number: number): string {
  return name === 'wave' && number >= NEW_HELP_FROM ? 'A wave, told anew.' : `The ${name}.`;
}

export const typeOf = (name: string): string => (name === 'double_total' ? 'counter' : 'gauge');

function valueText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return Object.is(value, -0) ? '-0' : String(value);
}

export function bodyOf(number: number): string {
  let text = '';
  let last = '';
  for (const { series, value } of seriesAt(number)) {
    const { name, labels } = series;
    if (name !== last)
      text += `# HELP ${name} ${helpAt(name, number)}\n# TYPE ${name} ${typeOf(name)}\n`;
    last = name;
    text += `${name}${labels} ${valueText(value)}\n`;
  }
  return text;
}

export interface Answered {
  readonly number: number;
  /** Milliseconds of the run. */
  readonly at: number;
}

export class Exporter {
  readonly name: string;
  readonly answered: Answered[] = [];
  /** Until then it refuses connections. */
  downUntil = 0;
  /** Until then it does not answer. */
  hungUntil = 0;
  readonly #time: SimTime;

  constructor(name: string, time: SimTime) {
    this.name = name;
    this.#time = time;
  }

  scrape(): { number: number; body: string } {
    const number = this.answered.length + 1;
    this.answered.push({ number, at: this.#time.now });
    return { number, body: bodyOf(number) };
  }
}
