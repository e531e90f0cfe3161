/**
 * Real processes for end-to-end tests: started on free loopback ports in folders of their own, ended by
 * id and never by name, all of them gone when the test file is done.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export { freePort } from './ports.js';

export const MAIN = fileURLToPath(new URL('../packages/canopy/dist/main.js', import.meta.url));

/** Whether tests with this peer were left out by `--without`; says so once. */
export function isWithout(peer: string): boolean {
  const isLeftOut = (process.env.CANOPY_TEST_WITHOUT ?? '').split(',').includes(peer);
  if (isLeftOut) console.log(`Left out: tests that need ${peer} (--without ${peer}).`);
  return isLeftOut;
}

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Repeats `attempt` until it gives something, at most `ms`; then fails with the last error. */
export async function eventually<T>(
  ms: number,
  what: string,
  attempt: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end) {
        throw new Error(`${what}: not within ${ms} ms: ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
    await sleep(100);
  }
}

/** One running program. Its output is kept (the last 64 KiB) for messages. */
export class Program {
  readonly name: string;
  readonly #command: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #isDrained = false;
  output = '';

  constructor(name: string, command: string, args: readonly string[]) {
    this.name = name;
    this.#command = command;
    this.#args = args;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return (
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
    );
  }

  start(): this {
    // A group of its own, so that a test can do what Ctrl-C in a terminal does.
    const child = spawn(this.#command, this.#args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const keep = (chunk: Buffer) => {
      this.output = (this.output + chunk.toString()).slice(-65_536);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.once('error', (error) => keep(Buffer.from(`${this.name}: ${error.message}\n`)));
    this.#child = child;
    this.#isDrained = false;
    child.once('close', () => (this.#isDrained = true));
    return this;
  }

  /** Resolves with the exit code (or the signal) once it has ended. */
  ended(): Promise<number | string> {
    const child = this.#child;
    if (child === undefined) return Promise.resolve(0);
    if (child.exitCode !== null) return Promise.resolve(child.exitCode);
    if (child.signalCode !== null) return Promise.resolve(child.signalCode);
    return new Promise((done) => child.once('exit', (code, signal) => done(code ?? signal ?? 0)));
  }

  /** Resolves once all it had written before it ended is in `output`. */
  drained(): Promise<void> {
    const child = this.#child;
    if (child === undefined || this.#isDrained) return Promise.resolve();
    return new Promise((done) => child.once('close', () => done()));
  }

  /** Ctrl-C in a terminal: the signal goes to the program and all it started in its group. */
  async interrupt(): Promise<number | string> {
    if (this.isRunning) process.kill(-this.pid, 'SIGINT');
    return this.ended();
  }

  async kill(signal: NodeJS.Signals): Promise<number | string> {
    if (this.isRunning) this.#child?.kill(signal);
    return this.ended();
  }
}

/** Everything a test file starts; `[Symbol.asyncDispose]` ends it and removes its folder. */
export class Site {
  readonly folder = mkdtempSync(join(tmpdir(), 'canopy-e2e-'));
  readonly #programs: Program[] = [];
  readonly #servers: Server[] = [];
  /** A process that ends in the middle leaves nobody running. */
  readonly #onExit = (): void => {
    for (const program of this.#programs) void program.kill('SIGKILL');
  };

  /** SIGTERM would end it without `exit`. */
  readonly #onTerm = (): void => process.exit(143);

  constructor() {
    process.once('exit', this.#onExit);
    process.once('SIGTERM', this.#onTerm);
  }

  program(name: string, command: string, ...args: string[]): Program {
    const program = new Program(name, command, args).start();
    this.#programs.push(program);
    return program;
  }

  canopy(name: string, ...args: string[]): Program {
    return this.program(name, process.execPath, MAIN, ...args);
  }

  file(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Answers HTTP on loopback; returns the port. */
  async serve(listener: RequestListener): Promise<number> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    this.#servers.push(server);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
    process.removeListener('exit', this.#onExit);
    process.removeListener('SIGTERM', this.#onTerm);
    await Promise.all(this.#programs.map((program) => program.kill('SIGKILL')));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** GET that must answer 200 within `ms`; the body as text. */
export async function get(
  url: string,
  headers: Record<string, string> = {},
  ms = 10_000,
): Promise<string> {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(ms) });
  const text = await response.text();
  if (response.status !== 200)
    throw new Error(`${url}: HTTP ${response.status}: ${text.slice(0, 300)}`);
  return text;
}

export interface ApiSeries {
  readonly metric: Record<string, string>;
  readonly value?: [number, string];
  readonly values?: Array<[number, string]>;
}

export async function query(
  base: string,
  expr: string,
  time?: number,
  ms?: number,
): Promise<ApiSeries[]> {
  const url = `${base}/api/v1/query?query=${encodeURIComponent(expr)}${time === undefined ? '' : `&time=${time}`}`;
  const body = JSON.parse(await get(url, {}, ms)) as { data: { result: ApiSeries[] } };
  return body.data.result;
}

export const waitReady = (base: string, ms = 20_000): Promise<string> =>
  eventually(ms, `${base} ready`, () => get(`${base}/-/ready`));
