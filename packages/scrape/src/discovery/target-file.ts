/**
 * A file of target groups, JSON or YAML, as `file_sd_configs` reads it.
 */
import { CanopyError } from '@canopy/model';
import { LineCounter, parseDocument } from 'yaml';
import type { TargetGroup } from '../config.js';

/** A file larger than this is refused; some 50,000 targets. */
export const TARGET_FILE_BYTES_MAX = 4 << 20;

/**
 * @throws CanopyError `config_invalid`: `path:line:column: what is wrong`.
 */
export function parseTargetFile(path: string, text: string): TargetGroup[] {
  const value = path.toLowerCase().endsWith('.json') ? readJson(path, text) : readYaml(path, text);
  return groupsOf(path, value, { __meta_filepath: path });
}

/** Bytes of YAML read at a stretch: some 5 ms. */
const PART_CHARS = 8 << 10;

/**
 * The same in short steps with `pause` between them, for YAML of thousands of groups takes a tenth of a second.
 * One group is not divided.
 */
export async function parseTargetFileInSteps(
  path: string,
  text: string,
  pause: () => Promise<void>,
): Promise<TargetGroup[]> {
  const parts = path.toLowerCase().endsWith('.json') ? [text] : partsOf(text);
  if (parts.length === 1) return parseTargetFile(path, text);
  const groups: TargetGroup[] = [];
  try {
    for (const part of parts) {
      const value = readYaml(path, part);
      if (!Array.isArray(value.root)) throw value.refuse([], 'not a list');
      for (const group of value.root) {
        groups.push(readGroup(path, group, groups.length, value, { __meta_filepath: path }));
      }
      await pause();
    }
    return groups;
  } catch {
    // An anchor of another part, or a fault: the whole knows, and where.
    return parseTargetFile(path, text);
  }
}

/** Cut where an entry of the outermost list begins: `- ` at the begin of a line. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (;;) {
    const at = text.indexOf('\n- ', from + PART_CHARS);
    if (at < 0) break;
    parts.push(text.slice(from, at + 1));
    from = at + 1;
  }
  parts.push(text.slice(from));
  return parts;
}

/**
 * Reads a JSON list of target groups; `meta` is added to the labels of each.
 * @throws CanopyError `config_invalid`: `origin:line:column: what is wrong`.
 */
export function readTargetGroups(
  origin: string,
  text: string,
  meta: Readonly<Record<string, string>>,
): TargetGroup[] {
  return groupsOf(origin, readJson(origin, text), meta);
}

function groupsOf(
  origin: string,
  { root, refuse }: Parsed,
  meta: Readonly<Record<string, string>>,
): TargetGroup[] {
  if (root === null) return [];
  if (!Array.isArray(root)) throw refuse([], 'expected a list of target groups');
  return root.map((group, index) => readGroup(origin, group, index, { root, refuse }, meta));
}

interface Parsed {
  readonly root: unknown;
  refuse(at: ReadonlyArray<string | number>, message: string): CanopyError;
}

function readJson(path: string, text: string): Parsed {
  try {
    return {
      root: JSON.parse(text) as unknown,
      refuse: (at, message) => readYaml(path, text).refuse(at, message),
    };
  } catch (error) {
    // JSON is YAML: its reader knows the line.
    readYaml(path, text);
    throw new CanopyError('config_invalid', `${path}: ${(error as Error).message}`);
  }
}

function readYaml(path: string, text: string): Parsed {
  const lines = new LineCounter();
  // Only strings: `9100` or `yes` as a label's value is text, as it is to Prometheus.
  const document = parseDocument(text, {
    schema: 'failsafe',
    logLevel: 'error',
    lineCounter: lines,
    prettyErrors: false,
  });
  const refuseAt = (offset: number, message: string): CanopyError => {
    const { line, col } = lines.linePos(offset);
    return new CanopyError('config_invalid', `${path}:${line}:${col}: ${message}`);
  };
  if (document.errors.length > 0) {
    throw refuseAt(document.errors[0].pos[0], document.errors[0].message);
  }
  const refuse = (at: ReadonlyArray<string | number>, message: string): CanopyError => {
    const node = document.getIn(at, true) as { range?: [number, number, number] } | undefined;
    return refuseAt(node?.range?.[0] ?? 0, message);
  };
  if (document.contents === null || text.trim() === '') return { root: null, refuse };
  try {
    return { root: document.toJS(), refuse };
  } catch (error) {
    throw refuse([], (error as Error).message);
  }
}

function readGroup(
  path: string,
  group: unknown,
  index: number,
  parsed: Parsed,
  meta: Readonly<Record<string, string>>,
): TargetGroup {
  if (!isObject(group)) throw parsed.refuse([index], 'expected a group with "targets"');
  for (const key of Object.keys(group)) {
    if (key !== 'targets' && key !== 'labels') {
      throw parsed.refuse([index, key], `unknown key "${key}" in a target group`);
    }
  }
  const { targets = [], labels = {} } = group;
  if (!Array.isArray(targets)) throw parsed.refuse([index, 'targets'], '"targets" must be a list');
  targets.forEach((target, at) => {
    if (typeof target !== 'string') {
      throw parsed.refuse([index, 'targets', at], 'a target must be a string');
    }
  });
  if (!isObject(labels)) throw parsed.refuse([index, 'labels'], '"labels" must be a mapping');
  for (const [name, value] of Object.entries(labels)) {
    if (name === '') throw parsed.refuse([index, 'labels'], '"" is not a valid label name');
    if (typeof value !== 'string') {
      throw parsed.refuse([index, 'labels', name], `the value of label "${name}" must be a string`);
    }
  }
  return {
    targets: targets as string[],
    labels: { ...(labels as Record<string, string>), ...meta },
    source: `${path}:${index}`,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
