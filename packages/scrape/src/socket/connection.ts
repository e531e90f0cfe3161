/**
 * One connection to an exporter: a request goes out, the head of its answer comes in, and, once
 * somebody wants it, the body. What was read lies in one buffer that all connections share.
 */
import { type Socket, connect } from 'node:net';
import { CanopyError } from '@canopy/model';
import { BEGUN_BYTES, tooLarge } from '../body.js';
import { type AnswerHead, HEAD_BYTES_MAX, headEnd, readAnswerHead } from './answer-head.js';
import type { BodyPool } from './body-pool.js';
import { ChunkedReader } from './chunked.js';

export interface Origin {
  readonly host: string;
  readonly port: number;
}

/** Told how an exchange goes on. Within `onHead` the receiver calls `readBody`, or `destroy`. */
export interface ExchangeEvents {
  onHead(head: AnswerHead): void;
  /** An answer this reader does not take; the connection is closed. */
  onOdd(): void;
  /** The body is on its way: one more read at most comes in before `readRest`. A small one is there at once: `onBody`. */
  onBegun(): void;
  /** All of it is there; the buffer is the receiver's, who releases it to the pool. */
  onBody(buffer: Buffer, length: number): void;
  /** The connection is closed. `answered`: bytes of an answer had come. */
  onError(error: Error, answered: boolean): void;
}

/** What `Content-Length` alone may make us allocate. Bytes. */
const FIRST_BYTES_MAX = 1 << 20;
const FIRST_BYTES = 16 * 1024;

const READ_BUFFER = Buffer.allocUnsafeSlow(128 * 1024);

const Phase = { idle: 0, head: 1, waiting: 2, body: 3, closed: 4 } as const;

export class Connection {
  readonly #socket: Socket;
  readonly #pool: BodyPool;
  readonly #onClose: (connection: Connection) => void;
  readonly #chunked = new ChunkedReader();
  #phase: number = Phase.idle;
  #events: ExchangeEvents | undefined;
  /** Exchanges begun. */
  exchanges = 0;
  /** When it was last put aside; milliseconds of a monotonic clock. */
  idleSince = 0;
  #head: AnswerHead | undefined;
  /** Of the head until it is complete, then body bytes as they came (chunked) or decoded. */
  #buffer: Buffer | undefined;
  #length = 0;
  #bytesMax = 0;
  /** What a body that has to grow is expected to need. Bytes. */
  #expected = 0;
  /** `onBegun` was called. */
  #begun = false;
  /** It waits for `readRest`. */
  #held = false;
  /** The socket is not read until `resume`. */
  #paused = false;

  constructor(origin: Origin, pool: BodyPool, onClose: (connection: Connection) => void) {
    this.#pool = pool;
    this.#onClose = onClose;
    this.#socket = connect({
      host: origin.host,
      port: origin.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 1000,
      onread: {
        buffer: READ_BUFFER,
        callback: (count, bytes) => {
          this.#paused = !this.#read(bytes as Buffer, count);
          return !this.#paused;
        },
      },
    });
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('end', () => this.#end(hungUp()));
    this.#socket.on('close', () => this.#end(hungUp()));
  }

  /** Nothing is under way and the other side has not closed it. */
  get isFree(): boolean {
    return this.#phase === Phase.idle;
  }

  /** `text` is a whole request, latin1. The connection must be free. */
  send(text: string, events: ExchangeEvents): void {
    this.exchanges++;
    this.#events = events;
    this.#phase = Phase.head;
    this.#length = 0;
    this.#socket.write(text, 'latin1');
  }

  /** After `onHead`: the body's beginning comes in, or all of one up to `bytesMax` bytes. */
  readBody(bytesMax: number): void {
    if (this.#phase === Phase.closed) {
      return this.#report(new CanopyError('format', 'unexpected EOF'), true);
    }
    const { framing } = this.#head!;
    this.#bytesMax = bytesMax;
    this.#phase = Phase.body;
    if (framing !== 'chunked' && framing > bytesMax) return this.#end(tooLarge(bytesMax));
    this.#chunked.begin();
    this.#begun = false;
    this.#held = false;
    this.#expected = framing === 'chunked' ? 0 : Math.min(framing, FIRST_BYTES_MAX);
    // What came with the head.
    const begun = this.#buffer;
    const length = this.#length;
    if (framing !== 'chunked' && begun !== undefined && length <= framing) {
      // Fast path: it is the body's beginning where it lies.
      if (length === framing) this.#finish(false);
      else this.#checkBegun();
    } else {
      // Little until it is on its way: many may be waited for at once.
      this.#buffer = this.#pool.take(FIRST_BYTES);
      this.#length = 0;
      if (begun !== undefined) {
        this.#takeBody(begun, 0, length);
        this.#pool.release(begun);
      } else if (framing === 0) this.#finish(false);
    }
    if (this.#phase === Phase.body) this.#resume();
  }

  /** After `onBegun`. */
  readRest(): void {
    this.#held = false;
    if (this.#phase === Phase.body) this.#resume();
  }

  /** A body that comes byte by byte must not hold a place of the gate. */
  #checkBegun(): void {
    if (this.#begun || this.#length < BEGUN_BYTES) return;
    this.#begun = true;
    this.#held = true;
    this.#events!.onBegun();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** Closes it; nobody is told. */
  destroy(): void {
    this.#events = undefined;
    this.#end(hungUp());
  }

  /** Closes it; an exchange under way fails. */
  close(): void {
    this.#end(hungUp());
  }

  /** False: reading stops until `resume`. */
  #read(bytes: Buffer, count: number): boolean {
    switch (this.#phase) {
      case Phase.head:
        return this.#takeHead(bytes, count);
      case Phase.body:
        return this.#takeBody(bytes, 0, count);
      case Phase.waiting:
        // Kept, as what came with the head; no more is read until somebody wants it.
        this.#keep(bytes, 0, count);
        return false;
      case Phase.idle:
        // Nobody asked: not a server to go on talking to.
        this.#end(hungUp());
        return false;
      default:
        return false;
    }
  }

  #takeHead(bytes: Buffer, count: number): boolean {
    let all = bytes;
    let size = count;
    const before = this.#length;
    if (before > 0) {
      this.#keep(bytes, 0, count);
      all = this.#buffer!;
      size = this.#length;
    }
    const end = headEnd(all, Math.max(0, before - 3), size);
    if (end < 0 && size <= HEAD_BYTES_MAX) {
      if (before === 0) this.#keep(bytes, 0, count);
      return true;
    }
    const small = end >= 0 && end <= HEAD_BYTES_MAX;
    const head = small ? readAnswerHead(all.toString('latin1', 0, end - 4)) : null;
    const events = this.#events!;
    if (head === null) {
      this.destroy();
      events.onOdd();
      return false;
    }
    this.#head = head;
    this.#phase = Phase.waiting;
    if (before > 0) {
      // Moved to the front: only the body is left.
      all.copyWithin(0, end, size);
      this.#length = size - end;
    } else if (size > end) this.#keep(bytes, end, size);
    events.onHead(head);
    // Reading stops when more comes while the body waits at the gate: mostly it has passed it before.
    return this.#phase !== Phase.closed;
  }

  /** Whether to go on reading, this answer or what comes after it. */
  #takeBody(bytes: Buffer, from: number, to: number): boolean {
    const { framing } = this.#head!;
    let used = to;
    let done = false;
    if (framing === 'chunked') {
      used = this.#chunked.push(bytes, from, to, this.#append);
      if (used < 0) this.#end(new CanopyError('format', 'malformed chunked encoding'));
      if (this.#phase !== Phase.body) return false;
      done = this.#chunked.done;
    } else {
      used = Math.min(to, from + framing - this.#length);
      if (!this.#append(bytes, from, used)) return false;
      done = this.#length === framing;
    }
    // Reading stops when more comes while it waits at the gate: mostly it has passed it before.
    const goesOn = done || !this.#held;
    if (done) this.#finish(used < to);
    else this.#checkBegun();
    return goesOn && this.#phase !== Phase.closed;
  }

  readonly #append = (bytes: Buffer, from: number, to: number): boolean => {
    if (this.#length + to - from > this.#bytesMax) {
      this.#end(tooLarge(this.#bytesMax));
      return false;
    }
    this.#keep(bytes, from, to);
    return true;
  };

  /** `extra`: the server went on after the answer's end, so nothing it says later is to be trusted. */
  #finish(extra: boolean): void {
    const buffer = this.#buffer!;
    const events = this.#events!;
    this.#buffer = undefined;
    this.#events = undefined;
    if (extra || !this.#head!.keepAlive) this.#end(hungUp());
    else {
      this.#phase = Phase.idle;
      // Goes on reading, to see when the other side closes it.
      this.#resume();
    }
    events.onBody(buffer, this.#length);
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    const size = this.#length + to - from;
    let buffer = this.#buffer ?? this.#pool.take(size);
    if (size > buffer.length) {
      buffer = this.#pool.grow(buffer, this.#length, Math.max(size, this.#expected));
    }
    bytes.copy(buffer, this.#length, from, to);
    this.#buffer = buffer;
    this.#length = size;
  }

  #end(error: Error): void {
    if (this.#phase === Phase.closed) return;
    const before = this.#phase;
    this.#phase = Phase.closed;
    this.#socket.destroy();
    this.#onClose(this);
    if (this.#buffer !== undefined) this.#pool.release(this.#buffer);
    this.#buffer = undefined;
    // While it waits nobody is told: whoever reads the body will be.
    if (before === Phase.waiting) return;
    const cut = before === Phase.body && !(error instanceof CanopyError);
    const reported = cut ? new CanopyError('format', 'unexpected EOF') : error;
    this.#report(reported, before !== Phase.head || this.#length > 0);
  }

  #report(error: Error, answered: boolean): void {
    const events = this.#events;
    this.#events = undefined;
    events?.onError(error, answered);
  }
}

/** As Node's client says it. */
function hungUp(): Error {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
}
