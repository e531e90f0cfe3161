/** The configuration as it may be shown. */
import { Scalar, stringify } from 'yaml';
import { SECRET_KEYS } from './keys.js';
import { isObject } from './reader.js';

/** A key with nothing after it. */
const NOTHING = Object.assign(new Scalar(''), { source: '', type: 'PLAIN' as const });

/** The configuration as YAML without comments, every secret replaced, passwords in URLs included. */
export function maskedYaml(tree: unknown): string {
  return stringify(masked(tree, '', ''), { schema: 'failsafe', lineWidth: 0 });
}

/** Holders of names that users choose: no name there makes a secret. */
const LABELS: ReadonlySet<string> = new Set(['labels', 'external_labels', 'params']);

function masked(node: unknown, key: string, holder: string): unknown {
  const secret = SECRET_KEYS.has(key) || (key === 'key' && holder === 'tls_config');
  if (secret && !LABELS.has(holder)) return hidden(node);
  if (Array.isArray(node)) return node.map((item) => masked(item, '', key));
  if (isObject(node)) {
    return Object.fromEntries(
      Object.entries(node).map(([name, value]) => [name, masked(value, name, key)]),
    );
  }
  if (node === null) return NOTHING;
  return typeof node === 'string' ? maskUrls(node) : node;
}

/** Every text in it replaced; what is empty is no secret. */
function hidden(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(hidden);
  if (isObject(node)) {
    return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, hidden(value)]));
  }
  if (node === null) return NOTHING;
  return node === '' ? '' : '<secret>';
}

/** Passwords in URLs replaced: before the host (or hosts), and parameters that end in `password`. */
export function maskUrls(text: string): string {
  return text
    .replace(/(\/\/[^/:@\s]*):[^/\s]*@/g, '$1:<secret>@')
    .replace(/([?&]\w*password=)[^&#\s]*/gi, '$1<secret>');
}
