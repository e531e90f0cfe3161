/**
 * The text format 0.0.4, written: what `/federate` answers.
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

/** Writes families and samples as they come; chunks go to the sink as they fill. */
export class TextEncoder004 {
  readonly #write: ChunkSink;
  #pending = '';

  constructor(write: ChunkSink) {
    this.#write = write;
  }

  /** Writes the HELP (where there is one) and TYPE lines; samples of the family follow. */
  beginFamily(family: Pick<Family, 'name' | 'type' | 'help'>): void {
    const name = isLegacyMetricName(family.name) ? family.name : quote(family.name);
    if (family.help !== '') this.#append(`# HELP ${name} ${escapeHelp(family.help)}\n`);
    this.#append(`# TYPE ${name} ${TYPE_NAMES[family.type] ?? 'untyped'}\n`);
  }

  /**
   * Writes one sample line. `labels` include `__name__`; `time` in milliseconds since the epoch,
   * undefined for none.
   */
  sample(labels: Labels, value: number, time: number | undefined): void {
    const ending = time === undefined ? '\n' : ` ${time}\n`;
    this.#append(`${formatSeries(labels)} ${formatValue(value)}${ending}`);
  }

  /** Hands what is left to the sink. The encoder may be used again. */
  flush(): void {
    if (this.#pending === '') return;
    const bytes = Buffer.from(this.#pending, 'utf8');
    this.#pending = '';
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES_MAX) {
      this.#write(bytes.subarray(start, start + CHUNK_BYTES_MAX));
    }
  }

  #append(line: string): void {
    this.#pending += line;
    if (this.#pending.length >= PENDING_UNITS_MAX) this.flush();
  }
}

/** A series as it stands in a sample line: `name{a="b"}`, or `{"my.name",a="b"}`. */
export function formatSeries(labels: Labels): string {
  const name = labelValue(labels, METRIC_NAME);
  const legacy = isLegacyMetricName(name);
  let inside = legacy ? '' : quote(name);
  for (let i = 0; i < labels.length; i += 2) {
    const label = labels[i];
    if (label === METRIC_NAME) continue;
    if (inside !== '') inside += ',';
    inside += `${isLegacyLabelName(label) ? label : quote(label)}=${quote(labels[i + 1])}`;
  }
  if (!legacy) return `{${inside}}`;
  return inside === '' ? name : `${name}{${inside}}`;
}

function quote(text: string): string {
  if (!/[\\\n"]/.test(text)) return `"${text}"`;
  const escaped = text.replace(/[\\\n"]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
  return `"${escaped}"`;
}

function escapeHelp(text: string): string {
  if (!/[\\\n]/.test(text)) return text;
  return text.replace(/[\\\n]/g, (c) => (c === '\n' ? '\\n' : '\\\\'));
}
