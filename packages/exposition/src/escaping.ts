/** Texts as they stand in an exposition. */
import {
  type Labels,
  METRIC_NAME,
  isLegacyLabelName,
  isLegacyMetricName,
  labelValue,
} from '@canopy/model';
import { type EscapingScheme, escapeName } from './name-escaping.js';

export const quote = (text: string): string => `"${escapeQuoted(text)}"`;

export function escapeQuoted(text: string): string {
  if (!/[\\\n"]/.test(text)) return text;
  return text.replace(/[\\\n"]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}

/** Quotes are not escaped in the help of text 0.0.4. */
export function escapeHelp(text: string): string {
  if (!/[\\\n]/.test(text)) return text;
  return text.replace(/[\\\n]/g, (c) => (c === '\n' ? '\\n' : '\\\\'));
}

export function familyName(name: string, escaping: EscapingScheme): string {
  if (isLegacyMetricName(name)) return name;
  return escaping === 'allow-utf-8' ? quote(name) : escapeName(name, escaping);
}

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
