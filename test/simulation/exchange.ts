/** One request and its answer as the servers of a process see them, without a socket. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface Question {
  readonly method: string;
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export function requestOf({ method, url, headers, body }: Question): IncomingMessage {
  const request = {
    method,
    url,
    headers,
    complete: true,
    socket: { remoteAddress: '127.0.0.1' },
    async *[Symbol.asyncIterator]() {
      yield Buffer.from(body);
    },
  };
  return request as unknown as IncomingMessage;
}

/** Calls `done` once, with the whole answer; undefined where the connection was cut instead. */
export function responseTo(done: (answer: Answer | undefined) => void): ServerResponse {
  const headers = new Map<string, string>();
  const parts: Uint8Array[] = [];
  const listeners: Array<readonly [event: string, listener: () => void]> = [];
  const emit = (event: string): void => {
    for (const [name, listener] of [...listeners]) if (name === event) listener();
  };
  const response = {
    statusCode: 200,
    headersSent: false,
    setHeader: (name: string, value: unknown) => headers.set(name.toLowerCase(), String(value)),
    removeHeader: (name: string) => headers.delete(name.toLowerCase()),
    writeHead(status: number, given: Record<string, string> = {}) {
      this.statusCode = status;
      for (const [name, value] of Object.entries(given)) headers.set(name.toLowerCase(), value);
      return this;
    },
    write(chunk: Uint8Array | string) {
      this.headersSent = true;
      // The bytes may be used again by whoever wrote them.
      parts.push(Buffer.from(chunk as Uint8Array));
      return true;
    },
    end(chunk?: Uint8Array | string) {
      if (chunk !== undefined) this.write(chunk);
      this.headersSent = true;
      done({ status: this.statusCode, headers, body: Buffer.concat(parts) });
      emit('finish');
      emit('close');
    },
    destroy() {
      done(undefined);
      emit('close');
    },
    on: () => response,
    once(event: string, listener: () => void) {
      listeners.push([event, listener]);
      return response;
    },
    off: () => response,
  };
  return response as unknown as ServerResponse;
}
