/** Reading of entries and layouts in bounded steps, with records checked. */
import {
  type GapRecord,
  type JournalEntry,
  type JournalPosition,
  type JournalRef,
  type ReadLimits,
  errorText,
} from '@canopy/model';
import { decodeEntry } from '@canopy/encoding';
import { type EntrySource, type ReadEntry, readFilled, timelessGap } from '../corrupt.js';
import type { CorruptRecord } from '../health.js';
import type { RedisConnection } from './connection.js';
import { type RedisKeys, formatPosition, parseField, parsePosition } from './keys.js';
import { firstSliceToRead, sortedSlices } from './slices.js';

/** Entries asked for at first; then as many as fit by the size of those before. */
const FIRST_COUNT = 64;
const COUNT_MAX = 4096;
/** Layouts of a thousand series have 15 KB each: what one reply brings is checked in one step. */
const LAYOUTS_AT_ONCE = 32;

type StreamReply = Array<[id: Buffer, fields: Buffer[]]>;

export class RedisReader {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #ledger: (ref: JournalRef) => Promise<string>;
  readonly #onCorrupt: (record: CorruptRecord) => void;

  /** `ledger`: of a journal, as it was stored last. */
  constructor(
    connection: RedisConnection,
    keys: RedisKeys,
    ledger: (ref: JournalRef) => Promise<string>,
    onCorrupt: (record: CorruptRecord) => void,
  ) {
    this.#connection = connection;
    this.#keys = keys;
    this.#ledger = ledger;
    this.#onCorrupt = onCorrupt;
  }

  /** As in Store. */
  readEntries(
    ref: JournalRef,
    after: JournalPosition,
    limits: ReadLimits,
  ): Promise<JournalEntry[]> {
    const source: EntrySource = {
      read: (from, max) => this.#readEntries(ref, from, max),
      ledger: () => this.#ledger(ref),
    };
    return readFilled(source, after, limits, (at, why, gap) => {
      this.#report(ref, 'entry', formatPosition(at), why, gap);
    });
  }

  async #readEntries(
    ref: JournalRef,
    after: JournalPosition,
    limits: ReadLimits,
  ): Promise<ReadEntry[]> {
    const slicesKey = this.#keys.slices(ref);
    const fields = await this.#connection.run((client) => client.hgetall(slicesKey), slicesKey);
    const slices = sortedSlices(slicesKey, fields);
    const found: ReadEntry[] = [];
    let bytes = 0;
    let from = after;
    for (let at = firstSliceToRead(slices, after); at < slices.length; ) {
      const average = found.length === 0 ? 0 : bytes / found.length;
      const wanted = average === 0 ? FIRST_COUNT : (limits.maxBytes - bytes) / average + 1;
      const count = Math.ceil(Math.min(wanted, limits.maxEntries - found.length, COUNT_MAX));
      const key = this.#keys.entries(ref, slices[at].slice);
      const reply = await this.#readStream(key, from, count);
      if (reply.length < count) at++;
      if (reply.length === 0) continue;
      for (const entry of await this.#decodeAll(ref, reply)) {
        bytes += 'corruptAt' in entry ? 0 : entry.bytes.length;
        if (found.length > 0 && bytes > limits.maxBytes) return found;
        found.push(entry);
        if (found.length >= limits.maxEntries) return found;
      }
      from = parsePosition(reply[reply.length - 1][0].toString());
    }
    return found;
  }

  /** As in Store. */
  async readLayouts(ref: JournalRef): Promise<JournalEntry[]> {
    const found = new Map<string, JournalEntry>();
    await this.#scanHash(this.#keys.layouts(ref), LAYOUTS_AT_ONCE, (field, value) => {
      const [epoch, , sequence] = parseField(field);
      try {
        found.set(field, decodeEntry(epoch, sequence, value));
      } catch (error) {
        this.#report(ref, 'layout', field, errorText(error), timelessGap(parseField(field)[1]));
      }
    });
    return [...found.values()].sort(
      (a, b) => a.epoch - b.epoch || a.group - b.group || a.sequence - b.sequence,
    );
  }

  async #readStream(key: string, after: JournalPosition, count: number): Promise<StreamReply> {
    const start = `(${formatPosition(after)}`;
    return (await this.#connection.run(
      (client) => client.xrangeBuffer(key, start, '+', 'COUNT', count),
      key,
    )) as unknown as StreamReply;
  }

  async #decodeAll(ref: JournalRef, reply: StreamReply): Promise<ReadEntry[]> {
    const layoutFields: string[] = [];
    for (const [id, [name, value]] of reply) {
      if (name.toString() === 'l') layoutFields.push(layoutField(id, value));
    }
    const layouts = new Map<string, Buffer>();
    if (layoutFields.length > 0) {
      const key = this.#keys.layouts(ref);
      const values = await this.#connection.run(
        (client) => client.hmgetBuffer(key, ...layoutFields),
        key,
      );
      values.forEach((value, i) => {
        if (value !== null) layouts.set(layoutFields[i], value);
      });
    }
    const entries: ReadEntry[] = [];
    for (const [id, [name, value]] of reply) {
      const isLayout = name.toString() === 'l';
      const bytes = isLayout ? layouts.get(layoutField(id, value)) : value;
      // A layout that was dropped because no frame needs it any more.
      if (bytes === undefined) continue;
      const { epoch, sequence } = parsePosition(id.toString());
      try {
        entries.push(decodeEntry(epoch, sequence, bytes));
      } catch (error) {
        entries.push({ corruptAt: { epoch, sequence }, why: errorText(error) });
      }
    }
    return entries;
  }

  /** Visits every field at least once; one that is written meanwhile perhaps twice. */
  async #scanHash(
    key: string,
    count: number,
    visit: (field: string, value: Buffer) => void,
  ): Promise<void> {
    let cursor = '0';
    do {
      const [next, parts] = await this.#connection.run(
        (client) => client.hscanBuffer(key, cursor, 'COUNT', count),
        key,
      );
      for (let i = 0; i + 1 < parts.length; i += 2) visit(parts[i].toString(), parts[i + 1]);
      cursor = next.toString();
    } while (cursor !== '0');
  }

  #report(
    journal: JournalRef,
    what: CorruptRecord['what'],
    place: string,
    message: string,
    gap: GapRecord,
  ): void {
    this.#onCorrupt({ journal, what, place, message, gap });
  }
}

/** `<epoch>-<group>-<sequence>` of the layout that stands at `id`. */
function layoutField(id: Buffer, group: Buffer): string {
  const { epoch, sequence } = parsePosition(id.toString());
  return `${epoch}-${group.toString()}-${sequence}`;
}
