/**
 * A reader of pages written from the format pages alone, without our codecs: what it cannot read, another
 * language cannot either. It reads a golden page, and pages of a journal of random values.
 */
import { VirtualClock } from '@canopy/model/testing';
import { expect, it, onTestFinished } from 'vitest';
import { type Cell, FixtureJournal } from './testing/fixture-journal.js';
import { MemoryStore } from './testing/memory-store.js';
import { PullRig, ServerRig, id } from './testing/rig.js';

const T0 = 1_700_000_000_000;

class Bytes {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.at;
  }

  u8(): number {
    return this.#bytes[this.at++];
  }

  /** LEB128. */
  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  int(): number {
    return Number(this.varint());
  }

  /** Zigzag. */
  signed(): number {
    const value = this.varint();
    return Number((value & 1n) === 1n ? -((value + 1n) >> 1n) : value >> 1n);
  }

  take(size: number): Buffer {
    this.at += size;
    return this.#bytes.subarray(this.at - size, this.at);
  }

  text(): string {
    return this.take(this.int()).toString('utf8');
  }
}

/** CRC-32C, reflected polynomial 0x82f63b78. */
function crc(bytes: Buffer): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let i = 0; i < 8; i++) sum = (sum >>> 1) ^ ((sum & 1) === 1 ? 0x82f63b78 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}

function checked(bytes: Buffer): Bytes {
  const end = bytes.length - 4;
  expect(bytes.readUInt32LE(end)).toBe(crc(bytes.subarray(0, end)));
  return new Bytes(bytes.subarray(0, end));
}

interface Slot {
  readonly series: string;
  state: 'none' | 'value' | 'stale';
  value: number;
  memory: number;
}

interface Group {
  readonly slots: Map<number, Slot>;
  changed: Set<number>;
}

/** Reads layout.format.md. */
function readLayout(body: Bytes, groups: Map<number, Group>): void {
  expect(body.u8()).toBe(1);
  const flags = body.u8();
  const id = body.int();
  for (let i = 0; i < 3; i++) body.varint(); // layout version, continues, interval
  body.text();
  const strings: string[] = [];
  let before = Buffer.alloc(0);
  for (let left = body.int(); left > 0; left--) {
    const shared = before.subarray(0, body.int());
    before = Buffer.concat([shared, body.take(body.int())]);
    strings.push(before.toString('utf8'));
  }
  const labels = (): Array<[string, string]> =>
    Array.from({ length: body.int() }, () => [strings[body.int()], strings[body.int()]]);
  labels();
  body.varint();
  for (let left = body.int(); left > 0; left--) {
    body.u8();
    for (let i = 0; i < 3; i++) body.varint();
  }
  body.varint();
  let number = body.int();
  const count = body.int();
  const numbers = Array.from({ length: count }, (_, i) => number + i);
  if ((flags & 2) !== 0) {
    for (let i = 0; i < count; i++, number++) numbers[i] = number += body.int();
  }
  const common = labels();
  const shapes: Array<{ names: string[]; values: number[] }> = [];
  const group = groups.get(id) ?? { slots: new Map(), changed: new Set() };
  groups.set(id, group);
  for (const slot of numbers) {
    const shape = body.int();
    if (shape === shapes.length) {
      const names = Array.from({ length: body.int() }, () => strings[body.int()]);
      shapes.push({ names, values: names.map(() => 0) });
    }
    const { names, values } = shapes[shape];
    const own = names.map((name, i) => [name, strings[(values[i] += body.signed())]]);
    body.signed();
    const all = [...common, ...own].sort(([a], [b]) => (a < b ? -1 : 1));
    const series = all.map(([name, value]) => `${name}=${value}`).join(',');
    group.slots.set(slot, { series, state: 'none', value: 0, memory: 0 });
  }
}

function readChanged(body: Bytes, form: number, slotCount: number, last: Set<number>): Set<number> {
  const set = new Set<number>();
  if (form === 3) {
    const bits = body.take(Math.ceil(slotCount / 8));
    for (let slot = 0; slot < slotCount; slot++) {
      if (((bits[slot >> 3] >> (slot & 7)) & 1) === 1) set.add(slot);
    }
    return set;
  }
  let next = 0;
  for (let left = body.int(); left > 0; left--) {
    next += body.int();
    for (let run = form === 2 ? body.int() + 1 : 1; run > 0; run--) set.add(next++);
  }
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

/** Reads an aligned frame of frame.format.md; returns `series @time value` of every slot with a sample. */
function readFrame(
  body: Bytes,
  { time, key }: { time: number; key: boolean },
  group: Group,
): string[] {
  const head = body.u8();
  expect(head >> 4).toBe(1);
  body.varint();
  body.varint();
  const slotCount = body.int();
  for (const slot of group.slots.values()) {
    if (slot.state === 'stale') slot.state = 'none';
    if (key) Object.assign(slot, { state: 'none', value: 0, memory: 0 });
  }
  group.changed = readChanged(body, head & 15, slotCount, key ? new Set() : group.changed);
  const size = body.int();
  const runs = new Bytes(body.take(size));
  const slots = [...group.changed].sort((a, b) => a - b);
  const kinds: Array<number | undefined> = [];
  while (runs.left > 0) {
    for (let skip = runs.int(); skip > 0; skip--) kinds.push(undefined);
    const run = runs.int();
    for (let i = 0; i <= run >> 4; i++) kinds.push(run & 15);
  }
  slots.forEach((number, i) => {
    const slot = group.slots.get(number)!;
    const kind = kinds[i] ?? slot.memory;
    if (kind <= 10) {
      const value = readValue(body, kind, slot.state === 'value' ? slot.value : 0);
      Object.assign(slot, { state: 'value', value, memory: kind });
    } else {
      const state = (['value', 'stale', 'none'] as const)[kind - 11];
      Object.assign(slot, { state, value: kind === 11 ? Number.NaN : 0 });
    }
  });
  return [...group.slots.values()]
    .filter(({ state }) => state !== 'none')
    .map(
      ({ series, state, value }) =>
        `${series} @${time} ${state === 'stale' ? state : String(value)}`,
    );
}

/** Reads a page of frames.format.md with one unfiltered journal; gaps as `gap from to`. */
function readPage(bytes: Buffer, groups: Map<number, Group>): string[] {
  const page = checked(bytes);
  expect(page.take(4).toString('latin1')).toBe('CFP\u0001');
  const lines: string[] = [];
  while (page.left > 0) {
    const type = page.int();
    const body = new Bytes(page.take(page.int()));
    if (type !== 4) continue;
    body.take(body.u8());
    body.u8();
    for (let i = 0; i < 8; i++) body.varint(); // four positions
    for (let i = 0; i < 2; i++) body.signed();
    body.text();
    for (let epoch = body.int(); epoch !== 0; epoch = body.int()) {
      for (let left = body.int(); left > 0; left--) {
        body.varint();
        lines.push(...readRecord(body.take(body.int()), groups));
      }
    }
  }
  return lines;
}

/** Reads entry.format.md. */
function readRecord(bytes: Buffer, groups: Map<number, Group>): string[] {
  const record = checked(bytes);
  const head = record.u8();
  const group = record.int();
  const time = record.signed();
  const payload = new Bytes(record.take(record.int()));
  if ((head & 7) === 2) {
    return readFrame(payload, { time, key: (head & 8) !== 0 }, groups.get(group)!);
  }
  if ((head & 7) === 1) readLayout(payload, groups);
  else return [(payload.varint(), `gap ${payload.signed()} ${payload.signed()}`)];
  return [];
}

/** A layout of two series, a key frame, the step after it, a gap. */
const GOLDEN = [
  '43465001010b046c65616680a0abfef96204870210aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0000000104010400',
  '000080bab7032641514151717171717171717171717171717171717171717171674545304b2d725f766c694141',
  '01040161110100590100010100882711687474703a2f2f69312f6d6574726963730700085f5f6e616d655f5f00',
  '01610001620002693101076e7374616e636500036a6f6200047465737402040305060000020002020403050600',
  '0100020100020067562e0701171a0180a0abfef9620a13010002030201021432888cf9d801161201d0afabfef9',
  '6209130101020302010c060888dd5c011c1301d0acacfef9620f01d0afabfef962d0acacfef962000108d53b0e',
  '000001046c6561660104000000dd0a9f9d',
].join('');

it('reads the golden page', () => {
  expect(readPage(Buffer.from(GOLDEN, 'hex'), new Map())).toEqual([
    `__name__=a,instance=i1,job=test @${T0} 10`,
    `__name__=b,instance=i1,job=test @${T0} 0.25`,
    `__name__=a,instance=i1,job=test @${T0 + 1000} 13`,
    `__name__=b,instance=i1,job=test @${T0 + 1000} stale`,
    `gap ${T0 + 1000} ${T0 + 9000}`,
  ]);
});

async function leaf() {
  const clock = new VirtualClock(T0);
  const store = new MemoryStore(clock);
  const journal = new FixtureJournal(store, id('a'));
  const server = await new ServerRig(store, clock, id('a'), {}).listen();
  onTestFinished(() => server.close());
  return { clock, journal, server };
}

it('the golden page is what a server sends', async () => {
  const { clock, journal, server } = await leaf();
  journal.layout(1, ['a', 'b']);
  journal.frame(1, T0, [10, 0.25]);
  journal.frame(1, T0 + 1000, [13, 'stale']);
  const to = T0 + 9000;
  journal.gap({ group: 1, from: T0 + 1000, to, cause: 'restart', frames: -1 } as never);
  await journal.commit();
  const { body } = await new PullRig(new MemoryStore(clock), clock).ask(server.target());
  expect(Buffer.from(body).toString('hex')).toBe(GOLDEN);
});

it('reads what our own reader reads, whatever the values', async () => {
  const { clock, journal, server } = await leaf();
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const names = Array.from({ length: 40 }, (_, i) => ({ __name__: `m${i % 7}`, slot: String(i) }));
  journal.keyEvery = 9;
  journal.layout(1, names.slice(0, 30));
  const cells: Cell[] = names.map(() => 0);
  const kinds: Array<(last: number) => Cell> = [
    (last) => last + random(1000),
    (last) => Math.round(last * 100 + random(99)) / 100,
    () => random(1 << 24) * Math.PI * 10 ** (random(40) - 20),
    (last) => last + 0.1,
    () => random(1 << 20) / 1024,
    () => [null, 'stale' as const, Number.NaN, -0, Number.POSITIVE_INFINITY, 5e-324][random(6)],
  ];
  for (let step = 0; step < 200; step++) {
    if (step === 50) journal.layout(1, names.slice(30));
    const part = 1 + random(20);
    for (let slot = 0; slot < cells.length; slot++) {
      const last = cells[slot];
      const number = typeof last === 'number' && Number.isFinite(last) ? last : 1;
      // A stale mark is an event: after it there is nothing until the next value.
      if (last === 'stale') cells[slot] = null;
      if (random(part) === 0) cells[slot] = kinds[(slot + (random(9) === 0 ? 1 : 0)) % 6](number);
    }
    journal.frame(1, T0 + step * 1000, cells.slice(0, step < 50 ? 30 : 40));
  }
  await journal.commit();
  const rig = new PullRig(new MemoryStore(clock), clock);
  const { body } = await rig.ask(server.target());
  await rig.puller.take(server.target(), {}, body);
  const ours = rig.appender.samples.map((line) => line.replace(/[{}"]/g, ''));
  const theirs = readPage(Buffer.from(body), new Map());
  expect(theirs.length).toBeGreaterThan(3000);
  const name = /__name__=(\w+),([^@]*)/;
  expect(theirs.map((line) => line.replace(name, '$1$2').replaceAll(',', ', '))).toEqual(ours);
});
