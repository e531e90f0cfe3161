/** The configuration as it may be shown. */
import { stringify } from 'yaml';
import { SECRET_KEYS } from './keys.js';
import { isObject } from './reader.js';

/** The configuration as YAML without comments, every secret replaced, passwords in URLs included. */
export function maskedYaml(tree: unknown): string {
  return stringify(masked(tree, '', ''), { schema: 'failsafe', lineWidth: 0 });
}

/** Holders of names that users choose: no name there makes a secret. */
const LABELS: ReadonlySet<string> = new Set(['labels', 'external_labels', 'params']);

function masked(node: unknown, key: string, holder: string): unknown {
  const secret = SECRET_KEYS.has(key) || (key === 'key' && holder === 'tls_config');
  if (secret && !LABELS.has(holder)) return '<secret>';
  if (Array.isArray(node)) return node.map((item) => masked(item, '', key));
  if (isObject(node)) {
    return Object.fromEntries(
      Object.entries(node).map(([name, value]) => [name, masked(value, name, key)]),
    );
  }
  return typeof node === 'string' ? maskUrls(node) : node;
}

/** Passwords in URLs replaced: before the host (or hosts), and parameters that end in `password`. */
export function maskUrls(text: string): string {
  return text
    .replace(/(\/\/[^/:@\s]*):[^/\s]*@/g, '$1:<secret>@')
    .replace(/([?&]\w*password=)[^&#\s]*/gi, '$1<secret>');
}
