/**
 * Regular expressions with RE2 syntax and linear time, as Go's regexp package has them.
 * The only place that knows re2js.
 */
import { RE2JS } from 're2js';
import { CanopyError } from './errors.js';

/** A compiled expression, fully anchored (`^(?s:…)$`), as matchers and relabelling use it. */
export interface AnchoredRegexp {
  /** The expression as it was written. */
  readonly source: string;
  test(text: string): boolean;
  /** Replaces `$1`, `${name}` in `template` by the groups of a full match; null without a match. */
  expand(text: string, template: string): string | null;
}

const EMPTY = '';

/** Compiled last: a query asks for each of its expressions more than once. What re2js learns of one is at most 8 MiB. */
const kept = new Map<string, AnchoredRegexp>();
const KEPT_MAX = 4;

/**
 * @throws CanopyError `bad_data` with RE2's own message.
 */
export function compileRegexp(source: string): AnchoredRegexp {
  const known = kept.get(source);
  if (known !== undefined) return known;
  const fast = fastTest(source);
  let compiled = fast === null ? compile(source) : undefined;
  const regexp: AnchoredRegexp = {
    source,
    test: fast ?? ((text) => compiled!.matches(text)),
    expand: (text, template) => expand((compiled ??= compile(source)), text, template),
  };
  if (kept.size >= KEPT_MAX) kept.delete(kept.keys().next().value!);
  kept.set(source, regexp);
  return regexp;
}

function compile(source: string): RE2JS {
  try {
    // A pattern must be valid by itself: `)(` would otherwise be saved by the anchoring group.
    if (source.includes(')')) RE2JS.compile(source, RE2JS.DOTALL);
    return RE2JS.compile(`^(?:${source})$`, RE2JS.DOTALL);
  } catch (error) {
    throw new CanopyError('bad_data', explain(source, error as Error), { cause: error });
  }
}

/** Of the pattern as it was written, where it is not valid by itself. */
function explain(source: string, error: Error): string {
  let { message } = error;
  try {
    RE2JS.compile(source, RE2JS.DOTALL);
  } catch (own) {
    ({ message } = own as Error);
  }
  // The flag in front is ours.
  return message.replace(`\`(?s)${source}\``, () => `\`${source}\``);
}

const PLAIN = /^[^\\^$.|?*+()[\]{}]*$/;

/** Fast path: forms that need no automaton. Null where the form is not one of them. */
function fastTest(source: string): ((text: string) => boolean) | null {
  if (source === '.*') return () => true;
  if (source === '.+') return (text) => text !== EMPTY;
  if (PLAIN.test(source)) return (text) => text === source;
  const alternatives = source.split('|');
  if (alternatives.every((part) => PLAIN.test(part))) {
    const set = new Set(alternatives);
    return (text) => set.has(text);
  }
  const wild = /^(\.[*+])?([^\\^$.|?*+()[\]{}]+)(\.[*+])?$/.exec(source);
  if (wild === null) return null;
  const [, before, literal, after] = wild;
  const minBefore = before === '.+' ? 1 : 0;
  const minAfter = after === '.+' ? 1 : 0;
  if (before === undefined) {
    return (text) => text.startsWith(literal) && text.length >= literal.length + minAfter;
  }
  if (after === undefined) {
    return (text) => text.endsWith(literal) && text.length >= literal.length + minBefore;
  }
  return (text) => {
    const at = text.indexOf(literal, minBefore);
    return at >= 0 && text.length - at - literal.length >= minAfter;
  };
}

function expand(compiled: RE2JS, text: string, template: string): string | null {
  const matcher = compiled.matcher(text);
  if (!matcher.matches()) return null;
  const groups = compiled.namedGroups() as Record<string, number>;
  const count = matcher.groupCount();
  // Go's Expand: $$ is a dollar; an unknown group is empty; $1x is the group named "1x".
  return template.replace(
    /\$(?:\$|\{([^}]*)\}|(\w+))/gu,
    (whole, braced?: string, bare?: string) => {
      if (whole === '$$') return '$';
      const name = braced ?? bare ?? EMPTY;
      const index = /^\d+$/.test(name) ? Number(name) : (groups[name] ?? -1);
      if (index < 0 || index > count) return EMPTY;
      return matcher.group(index) ?? EMPTY;
    },
  );
}
