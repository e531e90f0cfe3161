/**
 * Text 0.0.4 and OpenMetrics, written: what `/federate` answers.
 */
import {
  type Family,
  type Labels,
  METRIC_NAME,
  type MetricType,
  isLegacyLabelName,
  isLegacyMetricName,
  labelValue,
} from '@canopy/model';
import { formatValue } from './float-text.js';
import { type EscapingScheme, escapeName } from './name-escaping.js';

/** Takes one chunk of text, at most 64 KiB, in UTF-8; it owns the bytes. */
export type ChunkSink = (chunk: Buffer) => void;

const CHUNK_BYTES_MAX = 65_536;
/** Text collected before it is encoded; UTF-8 takes at most 3 bytes a UTF-16 unit. */
const PENDING_UNITS_MAX = 16_384;

/** The format knows four types; all others go out as `untyped`. */
const TYPE_NAMES: Readonly<Partial<Record<MetricType, string>>> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  summary: 'summary',
};

/** Families and samples → text, as they come; chunks go to the sink as they fill. */
export interface FamilyEncoder {
  /** Writes the lines about the family; its samples follow. */
  beginFamily(family: Family): void;
  /**
   * Writes one sample line. `labels` include `__name__`; `time` in milliseconds since the epoch,
   * undefined for none.
   */
  sample(labels: Labels, value: number, time: number | undefined): void;
  /** Writes what the format wants last, and hands what is left to the sink. */
  end(): void;
}

/** Text 0.0.4, names outside the old alphabet as `escaping` has them. */
export class TextEncoder004 implements FamilyEncoder {
  readonly #out: ChunkWriter;
  readonly #escaping: EscapingScheme;

  constructor(write: ChunkSink, escaping: EscapingScheme = 'allow-utf-8') {
    this.#out = new ChunkWriter(write);
    this.#escaping = escaping;
  }

  beginFamily(family: Pick<Family, 'name' | 'type' | 'help'>): void {
    const name = familyName(family.name, this.#escaping);
    if (family.help !== '') this.#out.append(`# HELP ${name} ${escapeHelp(family.help)}\n`);
    this.#out.append(`# TYPE ${name} ${TYPE_NAMES[family.type] ?? 'untyped'}\n`);
  }

  sample(labels: Labels, value: number, time: number | undefined): void {
    const ending = time === undefined ? '\n' : ` ${time}\n`;
    this.#out.append(`${formatSeries(labels, this.#escaping)} ${formatValue(value)}${ending}`);
  }

  end(): void {
    this.#out.flush();
  }
}

/**
 * OpenMetrics 1.0: types under their own names, units, times in seconds, `# EOF`. Which metric may
 * stand under which family is the caller's to know.
 */
export class OpenMetricsEncoder implements FamilyEncoder {
  readonly #out: ChunkWriter;
  readonly #escaping: EscapingScheme;

  constructor(write: ChunkSink, escaping: EscapingScheme = 'allow-utf-8') {
    this.#out = new ChunkWriter(write);
    this.#escaping = escaping;
  }

  beginFamily({ name, type, help, unit }: Family): void {
    const shown = familyName(name, this.#escaping);
    this.#out.append(`# TYPE ${shown} ${type}\n`);
    // A unit that the name does not end with makes the whole body an error.
    if (unit !== '' && name.endsWith(`_${unit}`)) this.#out.append(`# UNIT ${shown} ${unit}\n`);
    if (help !== '') this.#out.append(`# HELP ${shown} ${escapeQuoted(help)}\n`);
  }

  sample(labels: Labels, value: number, time: number | undefined): void {
    // Readers cut `seconds * 1000` down to milliseconds; the shortest text of the quotient survives it.
    const ending = time === undefined ? '\n' : ` ${time / 1000}\n`;
    this.#out.append(`${formatSeries(labels, this.#escaping)} ${formatValue(value)}${ending}`);
  }

  end(): void {
    this.#out.append('# EOF\n');
    this.#out.flush();
  }
}

/** Collects lines, and hands them over as chunks. */
class ChunkWriter {
  readonly #write: ChunkSink;
  #pending = '';

  constructor(write: ChunkSink) {
    this.#write = write;
  }

  append(line: string): void {
    this.#pending += line;
    if (this.#pending.length >= PENDING_UNITS_MAX) this.flush();
  }

  flush(): void {
    if (this.#pending === '') return;
    const bytes = Buffer.from(this.#pending, 'utf8');
    this.#pending = '';
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES_MAX) {
      this.#write(bytes.subarray(start, start + CHUNK_BYTES_MAX));
    }
  }
}

function familyName(name: string, escaping: EscapingScheme): string {
  return isLegacyMetricName(name) ? name : escapedOrQuoted(name, escaping);
}

const escapedOrQuoted = (name: string, escaping: EscapingScheme): string =>
  escaping === 'allow-utf-8' ? quote(name) : escapeName(name, escaping);

/** A series as it stands in a sample line: `name{a="b"}`, or `{"my.name",a="b"}`. */
export function formatSeries(labels: Labels, escaping: EscapingScheme = 'allow-utf-8'): string {
  const name = labelValue(labels, METRIC_NAME);
  const bare = isLegacyMetricName(name) || escaping !== 'allow-utf-8';
  let inside = bare ? '' : quote(name);
  for (let i = 0; i < labels.length; i += 2) {
    const label = labels[i];
    if (label === METRIC_NAME) continue;
    if (inside !== '') inside += ',';
    const shown = isLegacyLabelName(label) ? label : escapedLabel(label, labels, escaping);
    inside += `${shown}=${quote(labels[i + 1])}`;
  }
  if (!bare) return `{${inside}}`;
  const shown = familyName(name, escaping);
  return inside === '' ? shown : `${shown}{${inside}}`;
}

function escapedLabel(label: string, labels: Labels, escaping: EscapingScheme): string {
  if (escaping === 'allow-utf-8') return quote(label);
  const shown = escapeLabel(label, escaping);
  for (let i = 0; i < labels.length; i += 2) {
    const other = labels[i];
    // Two labels of one name would make the whole body unreadable.
    if (other !== label && escapeLabel(other, escaping) === shown)
      return escapeLabel(label, 'values');
  }
  return shown;
}

/** The schemes are for names of metrics, which may have colons. */
const escapeLabel = (label: string, escaping: EscapingScheme): string =>
  isLegacyLabelName(label) ? label : escapeName(label, escaping).replaceAll(':', '_');

const quote = (text: string): string => `"${escapeQuoted(text)}"`;

function escapeQuoted(text: string): string {
  if (!/[\\\n"]/.test(text)) return text;
  return text.replace(/[\\\n"]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}

function escapeHelp(text: string): string {
  if (!/[\\\n]/.test(text)) return text;
  return text.replace(/[\\\n]/g, (c) => (c === '\n' ? '\\n' : '\\\\'));
}
