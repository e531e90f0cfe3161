/**
 * Relabelling, action by action as Prometheus 3 does it (model/relabel/relabel.go).
 */
import { createHash } from 'node:crypto';
import { compileRegexp, isLegacyLabelName } from '@canopy/model';
import type { RelabelConfig } from './config.js';
import type { LabelBuilder } from './label-builder.js';

/** Changes the labels in place; false where they are dropped (they are half changed then). */
export type Relabel = (labels: LabelBuilder) => boolean;

/**
 * Compiles rules that are applied in their order.
 * @throws CanopyError `bad_data` for an expression RE2 refuses.
 */
export function compileRelabel(configs: readonly RelabelConfig[]): Relabel {
  const rules = configs.map(compileRule);
  if (rules.length === 0) return () => true;
  return (labels) => {
    for (const rule of rules) if (!rule(labels)) return false;
    return true;
  };
}

function compileRule(config: RelabelConfig): Relabel {
  const { targetLabel } = config;
  const source = sourceReader(config);
  switch (config.action) {
    case 'replace':
      return compileReplace(config, source);
    case 'keep': {
      const regexp = compileRegexp(config.regex);
      return (labels) => regexp.test(source(labels));
    }
    case 'drop': {
      const regexp = compileRegexp(config.regex);
      return (labels) => !regexp.test(source(labels));
    }
    case 'keepequal':
      return (labels) => labels.get(targetLabel) === source(labels);
    case 'dropequal':
      return (labels) => labels.get(targetLabel) !== source(labels);
    case 'lowercase':
      return always((labels) => labels.set(targetLabel, lowerCase(source(labels))));
    case 'uppercase':
      return always((labels) => labels.set(targetLabel, upperCase(source(labels))));
    case 'hashmod': {
      const modulus = BigInt(config.modulus);
      return always((labels) => {
        // The last 8 of MD5's 16 bytes: what Prometheus has always taken.
        const hash = createHash('md5').update(source(labels)).digest().readBigUInt64BE(8);
        labels.set(targetLabel, String(hash % modulus));
      });
    }
    default:
      return compileByName(config);
  }
}

/** Rules that look at the names of labels. */
function compileByName(config: RelabelConfig): Relabel {
  const regexp = compileRegexp(config.regex);
  const { action, replacement } = config;
  if (action === 'labelmap') {
    return always((labels) =>
      labels.forEach((name, value) => {
        const mapped = regexp.expand(name, replacement);
        if (mapped !== null) labels.set(mapped, value);
      }),
    );
  }
  const dropOnMatch = action === 'labeldrop';
  return always((labels) =>
    labels.forEach((name) => {
      if (regexp.test(name) === dropOnMatch) labels.delete(name);
    }),
  );
}

const MATCHES_ALL = '(.*)';

function compileReplace(config: RelabelConfig, source: (labels: LabelBuilder) => string): Relabel {
  const { targetLabel, replacement, regex, legacyNames = false } = config;
  const fixedTarget = !targetLabel.includes('$');
  if (regex === MATCHES_ALL && fixedTarget) {
    // Fast path: the common "copy" and "set" need no expression.
    if (replacement === '$1') return always((labels) => labels.set(targetLabel, source(labels)));
    if (!replacement.includes('$')) return always((labels) => labels.set(targetLabel, replacement));
  }
  const regexp = compileRegexp(regex);
  return always((labels) => {
    const text = source(labels);
    if (!regexp.test(text)) return;
    const name = fixedTarget ? targetLabel : regexp.expand(text, targetLabel);
    if (name === null || name === '' || (legacyNames && !isLegacyLabelName(name))) return;
    labels.set(name, regexp.expand(text, replacement) ?? '');
  });
}

function sourceReader(config: RelabelConfig): (labels: LabelBuilder) => string {
  const { sourceLabels, separator } = config;
  if (sourceLabels.length === 1) {
    const only = sourceLabels[0];
    return (labels) => labels.get(only);
  }
  return (labels) => sourceLabels.map((name) => labels.get(name)).join(separator);
}

function always(change: (labels: LabelBuilder) => void): Relabel {
  return (labels) => {
    change(labels);
    return true;
  };
}

const NOT_ASCII = /[^\0-\x7f]/gu;

/** Go maps rune by rune: no `ß` → `SS`, no final sigma. */
function lowerCase(text: string): string {
  return text
    .replace(/[A-Z]+/g, (run) => run.toLowerCase())
    .replace(NOT_ASCII, (char) => sameLength(char, char.toLowerCase()));
}

function upperCase(text: string): string {
  return text
    .replace(/[a-z]+/g, (run) => run.toUpperCase())
    .replace(NOT_ASCII, (char) => sameLength(char, char.toUpperCase()));
}

function sameLength(char: string, mapped: string): string {
  return [...mapped].length === 1 ? mapped : char;
}
