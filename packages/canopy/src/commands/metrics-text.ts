/**
 * Text format 0.0.4 read as strictly as `promtool check metrics` reads it (prometheus/common, expfmt):
 * stricter than a scrape, which forgives a missing last newline and repeated descriptions.
 */
import { CanopyError } from '@canopy/model';

export interface TextFamily {
  readonly name: string;
  /** Undefined without a HELP line. */
  help: string | undefined;
  /** Undefined until a TYPE line or a sample has said it. */
  type: string | undefined;
  /** Names of the labels that samples have; `le` and `quantile` of their own kinds left out. */
  readonly labelNames: Set<string>;
  samples: number;
}

const TYPES: ReadonlySet<string> = new Set(['counter', 'gauge', 'summary', 'untyped', 'histogram']);
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const BLANK = /[ \t]*/y;
const FLOAT = /^[+-]?(?:inf|infinity|nan|\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)$/i;

/**
 * Families with samples, by name.
 * @throws CanopyError `format` in promtool's words.
 */
export function readMetricsText(body: Uint8Array): Map<string, TextFamily> {
  const reader = new TextReader(body);
  reader.read();
  for (const [name, family] of reader.families) {
    if (family.samples === 0) reader.families.delete(name);
  }
  return reader.families;
}

class TextReader {
  readonly families = new Map<string, TextFamily>();
  /** One character a byte: what is not ASCII matters in label values only. */
  readonly #text: string;
  #at = 0;
  #line = 1;

  constructor(body: Uint8Array) {
    this.#text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
  }

  read(): void {
    while (this.#at < this.#text.length) {
      this.#match(BLANK);
      if (this.#at === this.#text.length) return;
      const start = this.#text[this.#at];
      if (start === '#') this.#comment();
      else if (start !== '\n') this.#sample();
      if (this.#text[this.#at] !== '\n') this.#end();
      this.#at++;
      this.#line++;
    }
  }

  #comment(): void {
    this.#at++;
    this.#match(BLANK);
    const keyword = this.#until(/[ \t\n]/g);
    this.#match(BLANK);
    if (keyword !== 'HELP' && keyword !== 'TYPE') return void this.#until(/\n/g);
    const name = this.#match(NAME);
    const next = this.#text[this.#at];
    if (next === '\n') return;
    if (next !== ' ' && next !== '\t') throw this.#error('invalid metric name in comment');
    const family = this.#familyOf(name);
    this.#match(BLANK);
    if (this.#text[this.#at] === '\n') return;
    const rest = this.#until(/\n/g);
    if (keyword === 'HELP') {
      if (family.help !== undefined) {
        throw this.#error(`second HELP line for metric name "${name}"`);
      }
      const wrong = /\\([^\\n])/.exec(rest.replaceAll('\\\\', ''));
      if (wrong !== null) throw this.#error(`invalid escape sequence '\\${wrong[1]}'`);
      family.help = rest;
      return;
    }
    if (family.type !== undefined) {
      throw this.#error(
        `second TYPE line for metric name "${name}", or TYPE reported after samples`,
      );
    }
    if (!TYPES.has(rest.toLowerCase())) throw this.#error(`unknown metric type "${rest}"`);
    family.type = rest.toLowerCase();
  }

  #sample(): void {
    const name = this.#match(NAME);
    if (name === '') throw this.#error('invalid metric name');
    const family = this.#familyOf(name);
    family.type ??= 'untyped';
    family.samples++;
    this.#match(BLANK);
    if (this.#text[this.#at] === '{') this.#labels(name, family);
    this.#match(BLANK);
    const value = this.#until(/[ \t\n]/g);
    if (!FLOAT.test(value)) throw this.#error(`expected float as value, got "${value}"`);
    if (this.#text[this.#at] === '\n') return;
    this.#match(BLANK);
    const time = this.#until(/[ \t\n]/g);
    if (!isInt64(time)) throw this.#error(`expected integer as timestamp, got "${time}"`);
    const rest = this.#until(/\n/g);
    if (rest !== '') throw this.#error(`spurious string after timestamp: "${rest}"`);
  }

  #labels(metric: string, family: TextFamily): void {
    const names = new Set<string>();
    do {
      this.#at++;
      this.#match(BLANK);
      if (this.#text[this.#at] === '}') break;
      const name = this.#match(LABEL);
      if (name === '') {
        this.#needMore();
        throw this.#error(`invalid label name for metric "${metric}"`);
      }
      if (name === '__name__') throw this.#error(`label name "${name}" is reserved`);
      this.#expect('=', 'after label name');
      if (names.has(name)) throw this.#error(`duplicate label names for metric "${metric}"`);
      names.add(name);
      this.#expect('"', 'at start of label value');
      const value = this.#labelValue();
      const own = { le: 'histogram', quantile: 'summary' }[name];
      if (own === undefined || own !== family.type) family.labelNames.add(name);
      else if (!FLOAT.test(value)) {
        throw this.#error(`expected float as value for '${name}' label, got "${value}"`);
      }
      this.#match(BLANK);
      this.#needMore();
      if (!',}'.includes(this.#text[this.#at])) {
        throw this.#error(`unexpected end of label value "${value}"`);
      }
    } while (this.#text[this.#at] === ',');
    this.#at++;
  }

  /** After the opening quote, to behind the closing one. */
  #labelValue(): string {
    const start = this.#at;
    for (; ; this.#at++) {
      this.#needMore();
      const next = this.#text[this.#at];
      if (next === '"') break;
      if (next === '\n') {
        const value = this.#text.slice(start, this.#at);
        throw this.#error(`label value "${value}" contains unescaped new-line`);
      }
      if (next !== '\\') continue;
      this.#at++;
      this.#needMore();
      const escaped = this.#text[this.#at];
      if (!'"\\n'.includes(escaped)) throw this.#error(`invalid escape sequence '\\${escaped}'`);
    }
    const bytes = Buffer.from(this.#text.slice(start, this.#at++), 'latin1');
    const value = bytes.toString();
    if (!Buffer.from(value).equals(bytes)) throw this.#error(`invalid label value "${value}"`);
    return value;
  }

  /** The family a name belongs to: of a summary or histogram where its suffix says so. */
  #familyOf(name: string): TextFamily {
    const known = this.families.get(name);
    if (known !== undefined) return known;
    const [, base, suffix] = /^(.*)(_count|_sum|_bucket)$/.exec(name) ?? [];
    const whole = this.families.get(base ?? '');
    const isPart =
      whole?.type === 'histogram' || (whole?.type === 'summary' && suffix !== '_bucket');
    if (whole !== undefined && isPart) return whole;
    const family = {
      name,
      help: undefined,
      type: undefined,
      labelNames: new Set<string>(),
      samples: 0,
    };
    this.families.set(name, family);
    return family;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += text.length;
    return text;
  }

  /** Up to the next match of `pattern`, which is global. */
  #until(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const end = pattern.exec(this.#text)?.index;
    if (end === undefined) this.#end();
    const text = this.#text.slice(this.#at, end);
    this.#at = end ?? 0;
    return text;
  }

  #expect(character: string, where: string): void {
    this.#match(BLANK);
    this.#needMore();
    const found = this.#text[this.#at];
    if (found !== character) {
      throw this.#error(`expected '${character}' ${where}, found '${found}'`);
    }
    this.#at++;
  }

  #needMore(): void {
    if (this.#at >= this.#text.length) this.#end();
  }

  #end(): never {
    throw this.#error('unexpected end of input stream');
  }

  #error(message: string): CanopyError {
    return new CanopyError('format', `text format parsing error in line ${this.#line}: ${message}`);
  }
}

function isInt64(text: string): boolean {
  return /^[+-]?\d+$/.test(text) && text.length < 400 && fitsInt64(BigInt(text.replace('+', '')));
}

function fitsInt64(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value;
}
