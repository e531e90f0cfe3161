/** One fetch: a request on a connection, its answer's head, the gate, the body, and who takes it. */
import { STATUS_CODES } from 'node:http';
import { CanopyError, type Clock, type Gate, type Timer } from '@canopy/model';
import { decompress } from '../body.js';
import type { FetchRequest, FetchedBody } from '../fetch.js';
import type { Abortable, Aborts } from './aborts.js';
import type { AnswerHead } from './answer-head.js';
import type { BodyPool } from './body-pool.js';
import type { Connection, ExchangeEvents } from './connection.js';
import { gunzipInto, gunzipRoom } from './gunzip.js';

export type Take<T> = (answer: FetchedBody) => Promise<T>;
export type GateFor = (contentType: string) => Gate;

/** Answers that are left to the other fetcher. */
export class OddAnswer extends Error {}

export interface ExchangeWorld {
  readonly clock: Clock;
  readonly pool: BodyPool;
  /** Exchanges that a signal ends. */
  readonly aborts: Aborts;
  /** A kept connection, or a fresh one. */
  connect(fresh: boolean): Connection;
  putAside(connection: Connection): void;
}

export interface Outcome<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

interface Raw {
  readonly buffer: Buffer;
  readonly length: number;
}

export class Exchange<T> implements ExchangeEvents, Abortable {
  readonly #world: ExchangeWorld;
  readonly #request: FetchRequest;
  readonly #text: string;
  /** Bytes of the body, as sent and decompressed. */
  readonly #limit: number;
  readonly #to: { readonly gateFor: GateFor; readonly take: Take<T> };
  readonly #outcome: Outcome<T>;
  #connection: Connection | undefined;
  #timer: Timer | undefined;
  /** Neither time nor the signal ends it any more. */
  #settled = false;
  #failure: unknown;
  #head: AnswerHead | undefined;
  #isAtGate = false;
  #pendingBody: Outcome<Raw> | undefined;
  /** All of the body, until it is taken inside the gate. */
  #body: Raw | undefined;

  constructor(
    world: ExchangeWorld,
    request: FetchRequest,
    text: string,
    limit: number,
    to: { readonly gateFor: GateFor; readonly take: Take<T> },
    outcome: Outcome<T>,
  ) {
    this.#world = world;
    this.#request = request;
    this.#text = text;
    this.#limit = limit;
    this.#to = to;
    this.#outcome = outcome;
  }

  start(): void {
    const { signal, timeout } = this.#request;
    if (signal.aborted) return this.#fail(signal.reason);
    this.#world.aborts.add(signal, this);
    this.#timer = this.#world.clock.after(timeout, () => {
      // What lies in the socket is read first: time in which this process did something else was not the target's.
      setImmediate(() => this.#fail(new CanopyError('timeout', 'context deadline exceeded')));
    });
    this.#send(false);
  }

  #send(fresh: boolean): void {
    this.#connection = this.#world.connect(fresh);
    this.#connection.send(this.#text, this);
  }

  abort(): void {
    this.#fail(this.#request.signal.reason);
  }

  onOdd(): void {
    this.#fail(new OddAnswer());
  }

  onError(error: Error, answered: boolean): void {
    const kept = this.#connection !== undefined && this.#connection.exchanges > 1;
    // A kept connection that the other side had closed: once more on a fresh one.
    if (!answered && kept && !this.#settled) this.#send(true);
    else this.#fail(error);
  }

  onHead(head: AnswerHead): void {
    const { status, headers } = head;
    if (status !== 200) {
      const redirected = status < 400 && headers.has('location');
      if (redirected && this.#request.followRedirects) return this.#fail(new OddAnswer());
      const text = `${status} ${head.reason || STATUS_CODES[status] || ''}`.trimEnd();
      // Its body is of no use and may be endless.
      return this.#fail(new CanopyError('unavailable', `server returned HTTP status ${text}`));
    }
    this.#head = head;
    this.#connection!.readBody(this.#limit);
  }

  onBegun(): void {
    this.#passGate();
  }

  /** With a body that is there or on its way: one that comes byte by byte holds no place. */
  #passGate(): void {
    const head = this.#head!;
    this.#isAtGate = true;
    const gate = this.#to.gateFor(head.headers.get('content-type') ?? '');
    // Nothing is read meanwhile: a body larger than the socket's buffers waits at the sender.
    gate(() => this.#receive(head)).then(this.#outcome.resolve, (error: unknown) => {
      this.#fail(error);
      this.#outcome.reject(error);
    });
  }

  onBody(buffer: Buffer, length: number): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) this.#world.putAside(connection);
    const pending = this.#pendingBody;
    this.#pendingBody = undefined;
    if (pending !== undefined) return pending.resolve({ buffer, length });
    if (this.#settled) return this.#world.pool.release(buffer);
    this.#body = { buffer, length };
    if (!this.#isAtGate) this.#passGate();
  }

  async #receive({ headers }: AnswerHead): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    const { buffer, length } = this.#body ?? (await this.#rest());
    this.#body = undefined;
    this.#settle();
    let unpacked: Buffer | undefined;
    try {
      const encoding = (headers.get('content-encoding') ?? '').toLowerCase();
      const raw = buffer.subarray(0, length);
      let body: Uint8Array | undefined;
      const room = encoding === 'gzip' ? gunzipRoom(length, this.#limit) : 0;
      if (room > 0) {
        unpacked = this.#world.pool.take(room);
        const size = gunzipInto(raw, unpacked, room);
        if (size >= 0) body = unpacked.subarray(0, size);
      }
      body ??= await decompress(raw, encoding, this.#limit);
      const contentType = headers.get('content-type') ?? '';
      return await this.#to.take({ headers, contentType, body, wireBytes: length });
    } finally {
      this.#world.pool.release(buffer);
      if (unpacked !== undefined) this.#world.pool.release(unpacked);
    }
  }

  #rest(): Promise<Raw> {
    return new Promise((resolve, reject) => {
      this.#pendingBody = { resolve, reject };
      this.#connection!.readRest();
    });
  }

  #settle(): void {
    this.#settled = true;
    this.#timer?.cancel();
    this.#world.aborts.delete(this.#request.signal, this);
  }

  #fail(error: unknown): void {
    if (this.#settled) return;
    this.#settle();
    this.#failure = error ?? new CanopyError('canceled', 'aborted');
    this.#connection?.destroy();
    this.#connection = undefined;
    // Who waits inside the gate must leave it.
    this.#pendingBody?.reject(this.#failure);
    this.#pendingBody = undefined;
    if (this.#body !== undefined) this.#world.pool.release(this.#body.buffer);
    this.#body = undefined;
    this.#outcome.reject(this.#failure);
  }
}
