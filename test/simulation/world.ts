/** The world of one simulated process, and what its chores run by. */
import { asDuration, errorText } from '@canopy/model';
import { CanopyError } from '@canopy/model';
import type { Chore, Log, World } from 'canopy/testing';
import { type Database, linkTo } from './database.js';
import type { Network } from './network.js';
import type { Chance } from './random.js';
import type { Life } from './time.js';

export interface WorldOptions {
  /** As others reach it. */
  readonly host: string;
  readonly life: Life;
  readonly database: Database;
  readonly network: Network;
  readonly chance: Chance;
  readonly epochs: Chance;
  readonly configText: () => string;
  /** A scrape came whole. */
  readonly onScraped: (target: string, number: number) => void;
  die(why: string): void;
  diesAtRead(): boolean;
  /** A chore begins (1) or has ended (-1). */
  onChore(change: number): void;
}

export function simWorld(options: WorldOptions): World {
  const { host, life, database, network, chance, epochs } = options;
  const from = { host, life };
  return {
    clock: life,
    // Two bytes are an epoch's: a stream of its own, for what was found with a seed before stays with it.
    randomBytes: (size) => (size === 2 ? epochs : chance).bytes(size),
    hostname: host.split(':')[0],
    ownsProcess: false,
    files: { readFile: () => options.configText(), listFolder: () => [], env: {} },
    sendJson: () => async (method, url, headers, body, timeout) => {
      const question = { method, url, headers: { ...headers }, body };
      const answer = await network.ask(from, question, timeout);
      return { status: answer.status, body: Buffer.from(answer.body).toString() };
    },
    openStore: (_settings, _log, onCorrupt) =>
      Promise.resolve({
        store: linkTo({ ...options, onCorrupt }),
        pathIdentity: database.options.isEmbedded ? database.options.name : '',
      }),
    openActiveQueries: () => undefined,
    listen: (doors) => {
      const close = network.listen(host, life, doors);
      return Promise.resolve({ address: host, close: () => Promise.resolve(close()) });
    },
    connect: () => ({
      fetcher: {
        async fetch(request, gateFor, take) {
          // Not compressed: that would be done on threads, which no seed orders.
          const { 'accept-encoding': _, ...headers } = request.headers;
          const question = { method: 'GET', url: request.url, headers, body: '' };
          const answer = await network.ask(from, question, request.timeout, request.signal);
          if (answer.status !== 200) {
            throw new CanopyError('unavailable', `server returned HTTP status ${answer.status}`);
          }
          const contentType = answer.headers.get('content-type') ?? '';
          const { body } = answer;
          return gateFor(contentType)(() => {
            request.signal.throwIfAborted();
            const number = answer.headers.get('x-number');
            if (number !== undefined) options.onScraped(new URL(request.url).host, Number(number));
            return take({ headers: answer.headers, contentType, body, wireBytes: body.length });
          });
        },
      },
      close: () => {},
    }),
    startHousekeeping: (chores, log) => startChores(chores, options, log),
  };
}

/** Cron's first two fields: seconds and minutes; `*`, a number, or `*` and a step. */
function fits(field: string, value: number): boolean {
  if (field === '*') return true;
  if (field.startsWith('*/')) return value % Number(field.slice(2)) === 0;
  return Number(field) === value;
}

/** Milliseconds until the next second that fits. */
export function untilNext(when: string, now: number): number {
  const [seconds, minutes] = when.split(' ');
  for (let second = Math.floor(now / 1000) + 1; ; second++) {
    if (fits(seconds, second % 60) && fits(minutes, Math.floor(second / 60) % 60)) {
      return second * 1000 - now;
    }
  }
}

function startChores(
  chores: readonly Chore[],
  { life, onChore }: WorldOptions,
  log: Log,
): () => Promise<void> {
  let isOver = false;
  for (const chore of chores) {
    const again = (): void => {
      life.after(asDuration(untilNext(chore.when, life.now())), () => void run());
    };
    const run = async (): Promise<void> => {
      if (isOver) return;
      onChore(1);
      try {
        await chore.run();
      } catch (error) {
        log('warn', `${chore.name} failed; it is tried again`, { error: errorText(error) });
      }
      onChore(-1);
      again();
    };
    again();
  }
  return () => {
    isOver = true;
    return Promise.resolve();
  };
}
