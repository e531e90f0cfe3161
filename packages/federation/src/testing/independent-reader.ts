/**
 * A reader of pages with code of its own, written from the format pages alone: frames.format.md here, entry, layout,
 * frame and gap.format.md of `encoding`. Nothing of ours is imported: what it cannot do, a program in another language
 * cannot either. Plain rather than fast, and strict: whatever the pages call wrong throws `Refused`.
 */
import { request } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

/** Something is not as the format pages have it. */
export class Refused extends Error {}

function need(ok: boolean, what: string): asserts ok {
  if (!ok) throw new Refused(what);
}

/** "Numbers" of entry.format.md. */
export class Bytes {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.at;
  }

  u8(): number {
    need(this.left > 0, 'cut short');
    return this.#bytes[this.at++];
  }

  /** LEB128, below 2^53; signed ones have a bit more. */
  big(): bigint {
    let value = 0n;
    for (let shift = 0n; shift <= 49n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Refused('number too long');
  }

  int(): number {
    const value = this.big();
    need(value < 1n << 53n, 'number too large');
    return Number(value);
  }

  /** Zigzag. */
  signed(): number {
    const value = this.big();
    return Number((value & 1n) === 1n ? -((value + 1n) >> 1n) : value >> 1n);
  }

  take(size: number): Buffer {
    need(size <= this.left, 'cut short');
    this.at += size;
    return this.#bytes.subarray(this.at - size, this.at);
  }

  part(): Bytes {
    return new Bytes(this.take(this.int()));
  }

  text(): string {
    return this.take(this.int()).toString('utf8');
  }

  f64(): number {
    return this.take(8).readDoubleLE();
  }
}

/** CRC-32C, reflected polynomial 0x82f63b78. */
export function crc(bytes: Buffer): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let i = 0; i < 8; i++) sum = (sum >>> 1) ^ ((sum & 1) === 1 ? 0x82f63b78 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}

function checked(bytes: Buffer): Bytes {
  const end = bytes.length - 4;
  need(end > 0 && bytes.readUInt32LE(end) === crc(bytes.subarray(0, end)), 'checksum');
  return new Bytes(bytes.subarray(0, end));
}

type State = 'none' | 'value' | 'stale';

interface Slot {
  state: State;
  value: number;
  memory: number;
}

interface Group {
  readonly isLoose: boolean;
  readonly names: Map<number, string>;
  /** Of all slots, those that a filter left out, too. */
  slotCount: number;
  version: number;
  slots: Slot[];
  changed: Set<number>;
  /** Step that the next frame must have; undefined: only a key frame goes on. */
  nextStep: number | undefined;
}

/** layout.format.md */
function readLayout(body: Bytes, groups: Map<number, Group>): void {
  need(body.u8() === 1, 'layout version');
  const flags = body.u8();
  const id = body.int();
  const version = body.int();
  body.int(); // continues
  body.int(); // interval
  body.text();
  const strings: string[] = [];
  let before = Buffer.alloc(0);
  for (let left = body.int(); left > 0; left--) {
    const shared = before.subarray(0, body.int());
    const next = Buffer.concat([shared, body.take(body.int())]);
    need(strings.length === 0 || before.compare(next) < 0, 'strings ascend');
    before = next;
    strings.push(before.toString('utf8'));
  }
  const string = (): string => {
    const number = body.int();
    need(number < strings.length, 'string number');
    return strings[number];
  };
  const labels = (): Array<[string, string]> =>
    Array.from({ length: body.int() }, () => [string(), string()]);
  labels();
  body.int(); // first family
  for (let left = body.int(); left > 0; left--) {
    need(body.u8() <= 7, 'metric type');
    for (let i = 0; i < 3; i++) string();
  }
  const slotCount = body.int();
  let number = body.int();
  const count = body.int();
  const numbers = Array.from({ length: count }, (_, i) => number + i);
  if ((flags & 2) !== 0) {
    for (let i = 0; i < count; i++, number++) numbers[i] = number += body.int();
  } else need(number + count === slotCount, 'slots');
  const common = labels();
  const shapes: Array<{ names: string[]; values: number[] }> = [];
  const group: Group = groups.get(id) ?? {
    ...{ isLoose: (flags & 1) !== 0, names: new Map(), slotCount: 0, version: 0 },
    ...{ slots: [], changed: new Set(), nextStep: undefined },
  };
  need(version === group.version + 1, 'layout versions follow');
  group.version = version;
  group.slotCount = slotCount;
  groups.set(id, group);
  for (const slot of numbers) {
    const shape = body.int();
    if (shape === shapes.length) {
      const names = Array.from({ length: body.int() }, string);
      shapes.push({ names, values: names.map(() => 0) });
    }
    const { names, values } = shapes[shape];
    const own = names.map((name, i) => [name, strings[(values[i] += body.signed())]]);
    body.signed(); // family
    const all = [...common, ...own].sort(([a], [b]) => (a < b ? -1 : 1));
    group.names.set(slot, all.map(([name, value]) => `${name}=${value}`).join(','));
  }
  skipSections(body);
}

/** Sections until the end; none of a type that is known here. */
function skipSections(body: Bytes): void {
  while (body.left > 0) {
    body.int();
    body.take(body.int());
  }
}

/** frame.format.md, "Changed slots". */
function readChanged(body: Bytes, form: number, slotCount: number, last: Set<number>): Set<number> {
  const set = new Set<number>();
  if (form === 3) {
    const bits = body.take(Math.ceil(slotCount / 8));
    for (let slot = 0; slot < bits.length * 8; slot++) {
      if (((bits[slot >> 3] >> (slot & 7)) & 1) === 1) set.add(slot);
    }
  } else {
    let next = 0;
    for (let left = body.int(); left > 0; left--) {
      next += body.int();
      for (let run = form === 2 ? body.int() + 1 : 1; run > 0; run--) set.add(next++);
    }
  }
  for (const slot of set) need(slot < slotCount, 'slot number');
  if (form !== 1) return set;
  const toggled = [...last].filter((slot) => !set.has(slot));
  return new Set([...toggled, ...[...set].filter((slot) => !last.has(slot))].sort((a, b) => a - b));
}

const SCALES = [1, 10, 100, 1000, 1e6, 1e9, 1 / 1024, 1000, 1e6, 1e9];

function scaled(body: Bytes, kind: number, base: number): number {
  const s = SCALES[kind];
  const rounded = Math.round(base * s);
  return ((Number.isSafeInteger(rounded) ? rounded : 0) + body.signed()) / s;
}

const view = new DataView(new ArrayBuffer(8));
const bitsOf = (value: number): bigint => (view.setFloat64(0, value), view.getBigUint64(0));
const fromBits = (bits: bigint): number => (view.setBigUint64(0, bits), view.getFloat64(0));

function readValue(body: Bytes, kind: number, base: number): number {
  if (kind <= 6) return scaled(body, kind, base);
  if (kind <= 9) {
    const near = scaled(body, kind, base);
    const steps = BigInt(body.signed());
    return fromBits(bitsOf(near) + steps);
  }
  const sizes = body.u8();
  let bits = 0n;
  for (let i = 0; i < (sizes & 15); i++) bits = (bits << 8n) | BigInt(body.u8());
  bits <<= BigInt(8 * (8 - (sizes >> 4) - (sizes & 15)));
  return fromBits((Number.isNaN(base) ? 0n : bitsOf(base)) ^ bits);
}

/** "Column": the runs of classes. `classes[i]` undefined: what the slot had last. */
function readClasses(body: Bytes, count: number): Array<number | undefined> {
  const runs = body.part();
  const classes: Array<number | undefined> = [];
  while (runs.left > 0) {
    for (let skip = runs.int(); skip > 0; skip--) classes.push(undefined);
    const run = runs.int();
    need((run & 15) <= 13, 'class');
    for (let i = 0; i <= run >> 4; i++) classes.push(run & 15);
  }
  need(classes.length <= count, 'classes');
  return classes;
}

const shown = (state: State, value: number): string => (state === 'stale' ? state : String(value));

interface FrameAt {
  readonly time: number;
  readonly key: boolean;
}

/** frame.format.md, "Aligned"; `series @time value` of every slot with a sample or a stale mark. */
function readAligned(body: Bytes, head: number, { time, key }: FrameAt, group: Group): string[] {
  need(body.int() <= group.version, 'layout version of a frame');
  const step = body.int();
  const isNext = key ? step === 0 : step === group.nextStep;
  group.nextStep = undefined;
  need(isNext, 'a frame is missing');
  const slotCount = body.int();
  if (key) group.slots = [];
  need(slotCount >= group.slots.length && slotCount <= group.slotCount, 'slot count');
  for (const slot of group.slots) if (slot.state === 'stale') slot.state = 'none';
  while (group.slots.length < slotCount) group.slots.push({ state: 'none', value: 0, memory: 0 });
  group.changed = readChanged(body, head & 15, slotCount, key ? new Set() : group.changed);
  const slots = [...group.changed].sort((a, b) => a - b);
  const classes = readClasses(body, slots.length);
  slots.forEach((number, i) => {
    const slot = group.slots[number];
    const kind = classes[i] ?? slot.memory;
    if (kind <= 10) {
      const value = readValue(body, kind, slot.state === 'value' ? slot.value : 0);
      Object.assign(slot, { state: 'value', value, memory: kind });
    } else {
      const state = (['value', 'stale', 'none'] as const)[kind - 11];
      Object.assign(slot, { state, value: kind === 11 ? Number.NaN : 0 });
    }
  });
  skipSections(body);
  group.nextStep = step + 1;
  const lines: string[] = [];
  group.slots.forEach(({ state, value }, slot) => {
    if (state === 'none') return;
    const name = group.names.get(slot);
    need(name !== undefined, 'a slot without a name');
    lines.push(`${name} @${time} ${shown(state, value)}`);
  });
  return lines;
}

/** frame.format.md, "Loose". */
function readLoose(body: Bytes, head: number, { time }: FrameAt, group: Group): string[] {
  need((head & 15) === 8, 'form of a frame');
  need(body.int() <= group.version, 'layout version of a frame');
  const count = body.int();
  need(count <= 1 << 20, 'samples');
  let slot = -1;
  const slots = Array.from({ length: count }, () => (slot += body.signed() + 1));
  const form = body.u8();
  need(form <= 1, 'form of times');
  let before = time;
  const times = Array.from({ length: count }, () =>
    form === 1 ? body.f64() : (before += body.signed()),
  );
  const stale = body.u8() === 1 ? body.take(Math.ceil(count / 8)) : undefined;
  const classes = readClasses(body, count);
  const lines: string[] = [];
  let last: { slot: number; value: number } | undefined;
  for (let i = 0; i < count; i++) {
    const name = group.names.get(slots[i]);
    need(name !== undefined, 'a slot without a name');
    const kind = classes[i] ?? 0;
    const isStale = stale !== undefined && ((stale[i >> 3] >> (i & 7)) & 1) === 1;
    need(isStale === (kind === 12) && kind !== 13, 'stale marks have class 12');
    const base = last?.slot === slots[i] ? last.value : 0;
    const value = isStale ? 0 : kind === 11 ? Number.NaN : readValue(body, kind, base);
    last = isStale ? undefined : { slot: slots[i], value };
    lines.push(`${name} @${times[i]} ${shown(isStale ? 'stale' : 'value', value)}`);
  }
  skipSections(body);
  return lines;
}

const CAUSES = ['restart', 'stopped', 'trimmed', 'refused', 'corrupt', 'clock'];

/** An entry with what its record says; its payload is not looked into. */
export interface Entry extends FrameAt {
  readonly epoch: number;
  readonly sequence: number;
  readonly kind: number;
  readonly group: number;
  readonly payload: Buffer;
}

/** entry.format.md */
export function readEntry(epoch: number, sequence: number, record: Buffer): Entry {
  const bytes = checked(record);
  const head = bytes.u8();
  need(head >> 4 === 1, 'entry version');
  const [group, time] = [bytes.int(), bytes.signed()];
  const payload = bytes.take(bytes.int());
  need(bytes.left === 0, 'bytes after the payload');
  const [kind, key] = [head & 7, (head & 8) !== 0];
  need(kind >= 1 && kind <= 3, 'kind of entry');
  need(!key || kind === 2, 'key bit');
  return { epoch, sequence, kind, group, time, key, payload };
}

/** What one journal has told so far: the groups of each epoch. */
export class EntryReader {
  readonly #epochs = new Map<number, Map<number, Group>>();

  /** Lines of the entry: samples, `gap group from to cause frames`, `lost group @time why` where it cannot be read. */
  read({ epoch, kind, group, time, key, payload }: Entry): string[] {
    const groups = this.#epochs.get(epoch) ?? new Map<number, Group>();
    this.#epochs.set(epoch, groups);
    const body = new Bytes(payload);
    try {
      if (kind === 2) return this.#frame(body, { time, key }, groups.get(group));
      if (kind === 3) return [readGap(body, groups)];
      readLayout(body, groups);
      return [];
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return [`lost ${group} @${time} ${error.message}`];
    }
  }

  #frame(body: Bytes, at: FrameAt, group: Group | undefined): string[] {
    need(group !== undefined, 'group without a layout');
    const head = body.u8();
    need(head >> 4 === 1, 'frame version');
    return (group.isLoose ? readLoose : readAligned)(body, head, at, group);
  }
}

/** gap.format.md */
function readGap(body: Bytes, groups: ReadonlyMap<number, Group>): string {
  const [id, from, to] = [body.int(), body.signed(), body.signed()];
  const cause = CAUSES[body.u8()];
  need(cause !== undefined, 'cause');
  for (const [each, group] of groups) {
    if (each === id || (id === 0 && cause !== 'corrupt')) group.nextStep = undefined;
  }
  return `gap ${id} ${from} ${to} ${cause} ${body.signed()}`;
}

export interface Position {
  readonly epoch: number;
  readonly sequence: number;
}

const compare = (a: Position, b: Position): number => a.epoch - b.epoch || a.sequence - b.sequence;

export interface TrailLevel {
  readonly name: string;
  readonly position: Position;
  readonly frames: number;
  readonly jobs: Record<string, number[]>;
}

export interface Section {
  /** Hexadecimal; 32 digits, 40 of a filtered view. */
  readonly ref: string;
  readonly more: boolean;
  readonly epochBreak: boolean;
  readonly from: Position;
  readonly position: Position;
  readonly newest: Position;
  readonly trimmed: Position;
  readonly watermark: number;
  readonly keptFor: number;
  readonly cursor: string;
  readonly entries: readonly Entry[];
  readonly behind: number;
  readonly trail: readonly TrailLevel[];
}

export interface ReadPage {
  readonly server: string;
  readonly clock: number;
  readonly report: unknown;
  readonly excluded: readonly string[];
  readonly sections: readonly Section[];
}

function readPosition(body: Bytes): Position {
  const position = { epoch: body.int(), sequence: body.int() };
  need(position.epoch > 0 || position.sequence === 0, 'position');
  return position;
}

/** frames.format.md, "Answer". */
export function readPage(bytes: Buffer): ReadPage {
  need(bytes.subarray(0, 3).toString('latin1') === 'CFP', 'magic');
  const body = checked(bytes);
  body.take(3);
  need(body.u8() === 1, 'page version');
  const page = { server: '', clock: 0, report: undefined as unknown };
  const excluded: string[] = [];
  const sections: Section[] = [];
  while (body.left > 0) {
    const type = body.int();
    const section = body.part();
    if (type === 1) Object.assign(page, { server: section.text(), clock: section.signed() });
    if (type === 2) page.report = JSON.parse(section.take(section.left).toString('utf8'));
    if (type === 3) while (section.left > 0) excluded.push(section.take(16).toString('hex'));
    if (type === 4) sections.push(readSection(section));
  }
  return { ...page, excluded, sections };
}

function readSection(body: Bytes): Section {
  const size = body.u8();
  need(size === 16 || size === 20, 'size of a reference');
  const ref = body.take(size).toString('hex');
  const flags = body.u8();
  const [from, position, newest, trimmed] = Array.from({ length: 4 }, () => readPosition(body));
  const [watermark, keptFor] = [body.signed(), body.signed()];
  const cursor = body.text();
  const entries: Entry[] = [];
  let last = from;
  for (let epoch = body.int(); epoch !== 0; epoch = body.int()) {
    let sequence = 0;
    for (let left = body.int(); left > 0; left--) {
      sequence += body.int();
      need(compare({ epoch, sequence }, last) > 0, 'positions ascend');
      last = { epoch, sequence };
      entries.push(readEntry(epoch, sequence, body.take(body.int())));
    }
  }
  need(compare(last, position) <= 0, 'entries end at the position');
  const behind = body.left > 0 ? body.int() : 0;
  const trail = body.left > 0 ? readTrail(body) : [];
  return {
    ...{ ref, more: (flags & 1) !== 0, epochBreak: (flags & 2) !== 0 },
    ...{ from, position, newest, trimmed, watermark, keptFor, cursor, entries, behind, trail },
  };
}

/** frames.format.md, "Trail". */
function readTrail(body: Bytes): TrailLevel[] {
  const levels = body.int();
  need(levels <= 32, 'levels');
  return Array.from({ length: levels }, () => {
    const name = body.text();
    const position = readPosition(body);
    const frames = body.int();
    for (let left = body.int(); left > 0; left--) for (let i = 0; i < 4; i++) body.int();
    const jobs: Record<string, number[]> = {};
    for (let left = body.int(); left > 0; left--) {
      const job = body.text();
      jobs[job] = Array.from({ length: 5 }, () => body.int());
      for (let reasons = body.int(); reasons > 0; reasons--) {
        body.text();
        jobs[job].push(body.int());
      }
    }
    return { name, position, frames, jobs };
  });
}

interface Kept {
  position: Position;
  cursor: string;
  readonly reader: EntryReader;
  readonly lines: string[];
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Decompressed. */
  readonly body: Buffer;
}

export const FRAMES = 'application/vnd.canopy.frames;version=1';

/** One GET; `headers` beside those of every request. */
export function ask(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(url, { headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => {
        const sent = Buffer.concat(chunks);
        const coding = res.headers['content-encoding'];
        const body =
          coding === 'br'
            ? brotliDecompressSync(sent)
            : coding === 'gzip'
              ? gunzipSync(sent)
              : sent;
        const told = res.headers as Record<string, string | undefined>;
        resolve({ status: res.statusCode ?? 0, headers: told, body });
      });
    });
    req.on('error', reject);
    req.end();
  });
}

/** frames.format.md, "What a reader does": keeps position, cursor and lines by journal. */
export class IndependentReader {
  readonly journals = new Map<string, Kept>();
  readonly #headers: Record<string, string>;
  epochBreaks = 0;

  constructor(headers: Record<string, string> = {}) {
    this.#headers = { accept: FRAMES, ...headers };
  }

  get lines(): string[] {
    return [...this.journals.values()].flatMap(({ lines }) => lines);
  }

  get cursors(): string {
    return [...this.journals.values()].map(({ cursor }) => cursor).join('.');
  }

  request(url: string): Promise<Answer> {
    const { cursors } = this;
    return ask(url, { ...this.#headers, ...(cursors !== '' && { 'canopy-cursor': cursors }) });
  }

  /** True where there is more at once. @throws Refused: nothing of the page was taken. */
  take(body: Buffer): boolean {
    const { sections } = readPage(body);
    for (const { ref, from } of sections) {
      const known = this.journals.get(ref)?.position ?? { epoch: 0, sequence: 0 };
      need(compare(from, known) <= 0, 'it would leave a hole');
    }
    for (const section of sections) this.#keep(section);
    return sections.some(({ more }) => more);
  }

  #keep({ ref, position, cursor, entries, epochBreak }: Section): void {
    const kept = this.journals.get(ref) ?? {
      ...{ position: { epoch: 0, sequence: 0 }, cursor: '' },
      ...{ reader: new EntryReader(), lines: [] },
    };
    this.journals.set(ref, kept);
    if (epochBreak) this.epochBreaks++;
    for (const entry of entries) {
      if (compare(entry, kept.position) <= 0) continue;
      kept.lines.push(...kept.reader.read(entry));
    }
    if (compare(position, kept.position) < 0) return;
    kept.position = position;
    kept.cursor = cursor;
  }

  /** Pulls while there is more. Returns the number of pages. */
  async pull(url: string): Promise<number> {
    for (let pages = 1; pages < 1000; pages++) {
      const { status, headers, body } = await this.request(url);
      need(status === 200, `status ${status}: ${body.toString()}`);
      need(headers['content-type']?.startsWith('application/vnd.canopy.frames') === true, 'type');
      if (!this.take(body)) return pages;
    }
    throw new Error('there is always more');
  }
}
