/**
 * A configuration file as YAML with places: every complaint names file, line, column and key.
 */
import { CanopyError } from '@canopy/model';
import {
  type Document,
  LineCounter,
  Scalar,
  type YAMLError,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  visit,
} from 'yaml';
import type { z } from 'zod';
import { nearest } from '../cli/nearest.js';
import { IGNORED_GLOBAL, IGNORED_SECTIONS, REFUSED_SCRAPE } from './keys.js';
import { configSchema, globalSchema } from './schema.js';

/** A section or key that is there and does nothing, with its place. */
export interface IgnoredKey {
  readonly key: string;
  readonly place: string;
  readonly reason: string;
}

export type KeyPath = readonly PropertyKey[];

/** One file: its tree, the places of its keys, what is ignored in it. */
export class ConfigReader {
  readonly file: string;
  readonly ignored: IgnoredKey[] = [];
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #schema: z.core.$ZodType;

  /** `schema` is asked for the names that a misspelt one may mean. */
  constructor(file: string, text: string, schema: z.core.$ZodType = configSchema) {
    this.file = file;
    this.#schema = schema;
    this.#document = parseDocument(text, {
      schema: 'failsafe',
      lineCounter: this.#lines,
      uniqueKeys: true,
      merge: true,
      prettyErrors: false,
    });
    const [error] = this.#document.errors;
    if (error) throw this.error(error.pos[0], '', this.#syntaxError(error, text));
    // `key:` with nothing after it is null, which Go's decoder takes for the zero of the key's type.
    visit(this.#document, {
      Pair: (_, pair) => {
        if (isNull(pair.value)) pair.value = new Scalar(null);
      },
      Scalar: (_, node) => {
        if (isNull(node)) node.value = null;
      },
    });
  }

  /** Every scalar is text. @throws CanopyError `config_invalid`. */
  tree(): Record<string, unknown> {
    let tree: unknown;
    try {
      tree = this.#document.toJS({ maxAliasCount: 1000 }) ?? {};
    } catch (error) {
      throw this.error(0, '', (error as Error).message);
    }
    if (tree === '' || isNull(this.#document.contents)) return {};
    if (!isObject(tree)) throw this.error(0, '', 'the file is not a mapping of keys to values');
    return tree;
  }

  #syntaxError(error: YAMLError, text: string): string {
    if (error.code !== 'DUPLICATE_KEY') return error.message;
    const [name] = /^[^\s:]+/.exec(text.slice(error.pos[0])) ?? [''];
    return `key ${JSON.stringify(name)} already set`;
  }

  place(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.file}:${Math.max(1, line)}:${Math.max(1, col)}`;
  }

  error(offset: number, key: string, message: string): CanopyError {
    const named = key === '' ? message : `${key}: ${message}`;
    return new CanopyError('config_invalid', `${this.place(offset)}: ${named}`);
  }

  /** A complaint about what stands at `path`. */
  errorAt(path: KeyPath, message: string): CanopyError {
    return this.error(this.offsetOf(path), pathText(path), message);
  }

  /** Offset of the deepest node on `path` that is there; of the key itself where it has one. */
  offsetOf(path: KeyPath): number {
    let node: unknown = this.#document.contents;
    let offset = 0;
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
        if (pair === undefined) break;
        offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
        node = pair.value;
      } else if (isSeq(node) && typeof step === 'number') {
        node = node.items[step];
        if (isMap(node) || isScalar(node) || isSeq(node)) offset = node.range?.[0] ?? offset;
      } else break;
    }
    return offset;
  }

  /** Takes keys out that are known and without effect; refuses those that would change what is scraped. */
  sift(config: Record<string, unknown>): void {
    for (const [section, reason] of Object.entries(IGNORED_SECTIONS)) {
      if (section in config) this.#ignore(config, [section], reason);
    }
    const global = config.global;
    if (isObject(global)) {
      for (const [key, reason] of Object.entries(IGNORED_GLOBAL)) {
        if (!(key in global)) continue;
        const path = ['global', key];
        // What the schema has is still checked.
        if (key in globalSchema.shape) this.#note(path, reason);
        else this.#ignore(global, path, reason);
      }
    }
    const jobs = Array.isArray(config.scrape_configs) ? config.scrape_configs : [];
    jobs.forEach((job: unknown, index) => {
      if (!isObject(job)) return;
      for (const key of Object.keys(job)) {
        const path = ['scrape_configs', index, key];
        if (REFUSED_SCRAPE.has(key)) {
          const why = key.endsWith('_sd_configs')
            ? 'is not supported: its targets would not be found'
            : 'is not supported: without it other things would be scraped than this file says';
          throw this.errorAt(path, why);
        }
      }
    });
  }

  #ignore(holder: Record<string, unknown>, path: KeyPath, reason: string): void {
    this.#note(path, reason);
    delete holder[String(path[path.length - 1])];
  }

  #note(path: KeyPath, reason: string): void {
    this.ignored.push({ key: pathText(path), place: this.place(this.offsetOf(path)), reason });
  }

  /**
   * The first complaint of the schema, with its place and, for an unknown key, the nearest known one. An unknown
   * key comes first: what it was meant to be may be what is missing.
   */
  schemaError(error: z.ZodError): CanopyError {
    const issue = error.issues.find(({ code }) => code === 'unrecognized_keys') ?? error.issues[0];
    if (issue.code === 'unrecognized_keys') {
      const path = [...issue.path, issue.keys[0]];
      const suggestion = nearest(issue.keys[0], knownKeys(this.#schema, issue.path));
      const hint = suggestion === undefined ? '' : ` (did you mean "${suggestion}"?)`;
      return this.error(
        this.offsetOf(path),
        pathText(issue.path),
        `unknown key "${issue.keys[0]}"${hint}`,
      );
    }
    return this.errorAt(issue.path, issueText(issue));
  }
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function pathText(path: KeyPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? String(step) : `${text}.${String(step)}`;
  }, '');
}

const EXPECTED: Readonly<Record<string, string>> = {
  object: 'is not a mapping of keys to values',
  record: 'is not a mapping of keys to values',
  array: 'is not a list',
  string: 'is not a text',
};

/** What the schema library says in its own words, in ours. */
function issueText(issue: z.core.$ZodIssue): string {
  if (!issue.message.startsWith('Invalid ')) return issue.message;
  if (issue.code === 'invalid_type') {
    if (issue.message.endsWith('received undefined')) return 'is missing';
    return EXPECTED[issue.expected] ?? issue.message;
  }
  if (issue.code === 'invalid_value') return `is not one of ${issue.values.join(', ')}`;
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  return issue.message;
}

/** Nothing, or one of YAML's words for it, without quotes. */
function isNull(node: unknown): boolean {
  if (node === null) return true;
  return isScalar(node) && node.type === 'PLAIN' && /^(|~|null|Null|NULL)$/.test(node.source ?? '');
}

/** Names that a mapping at `path` may have: from the schema, and the lists of what is not acted on. */
function knownKeys(whole: z.core.$ZodType, path: KeyPath): string[] {
  let schema = whole;
  for (const step of path) {
    const inner = unwrap(schema) as {
      shape?: Record<string, z.core.$ZodType>;
      element?: z.core.$ZodType;
    };
    const next = typeof step === 'number' ? inner.element : inner.shape?.[String(step)];
    if (next === undefined) return [];
    schema = next;
  }
  const shape = (unwrap(schema) as { shape?: Record<string, unknown> }).shape ?? {};
  const known = Object.keys(shape);
  if (whole !== configSchema) return known;
  if (path.length === 0) known.push(...Object.keys(IGNORED_SECTIONS));
  if (path[0] === 'global' && path.length === 1) known.push(...Object.keys(IGNORED_GLOBAL));
  if (path[0] === 'scrape_configs' && path.length === 2) known.push(...REFUSED_SCRAPE);
  return known;
}

/** Through defaults, preprocessing and pipes to the object or array inside. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const def = schema._zod.def as {
    type: string;
    innerType?: z.core.$ZodType;
    out?: z.core.$ZodType;
  };
  if (def.innerType !== undefined) return unwrap(def.innerType);
  if (def.type === 'pipe' && def.out !== undefined) return unwrap(def.out);
  return schema;
}
