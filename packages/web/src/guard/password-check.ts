/**
 * Basic authentication against bcrypt hashes. A comparison is dear by intention: one at a time, in a
 * thread of its own, its outcome remembered; a wrong name costs what a wrong password does.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';

export type PasswordOutcome = 'right' | 'wrong' | 'busy';

/** The same file from `src` and from `dist`. */
const WORKER = new URL('../../worker/compare-password.js', import.meta.url);
/** Outcomes remembered, right and wrong ones each (exporter-toolkit remembers 100). */
const REMEMBERED_MAX = 100;
/** Comparisons that may wait for their turn; over it the answer is `busy`. */
const WAITING_MAX = 32;

export class PasswordCheck {
  /** Since the start. */
  comparisons = 0;
  /** What is remembered cannot be guessed from, nor made by others. */
  readonly #secret = randomBytes(32);
  /** Right ones apart: a flood of wrong ones does not push them out. */
  readonly #right = new Set<string>();
  readonly #wrong = new Set<string>();
  readonly #running = new Map<string, Promise<boolean>>();
  #turn: Promise<unknown> = Promise.resolve();
  #worker: Worker | undefined;

  /** `header` is that of `Authorization`. Rejects where the thread has died. */
  async check(
    header: string | undefined,
    users: ReadonlyMap<string, string>,
  ): Promise<PasswordOutcome> {
    const given = parseBasic(header);
    if (given === undefined) return 'wrong';
    const [user, password] = given;
    const known = users.get(user);
    const hash = known ?? decoy(users);
    const key = createHmac('sha256', this.#secret)
      .update(JSON.stringify([user, hash, password]))
      .digest('base64');
    if (known !== undefined && this.#right.has(key)) return 'right';
    if (this.#wrong.has(key)) return 'wrong';
    let running = this.#running.get(key);
    if (running === undefined) {
      if (this.#running.size >= WAITING_MAX) return 'busy';
      running = this.#inTurn(() => this.#compare(password, hash));
      this.#running.set(key, running);
      const forget = (): void => void this.#running.delete(key);
      running.then(forget, forget);
    }
    const isRight = (await running) && known !== undefined;
    remember(isRight ? this.#right : this.#wrong, key);
    return isRight ? 'right' : 'wrong';
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #compare(password: string, hash: string): Promise<boolean> {
    this.comparisons++;
    const worker = (this.#worker ??= new Worker(WORKER));
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        worker.off('message', onMessage).off('error', onEnd).off('exit', onEnd);
        // Whoever waits has a connection, which keeps the process; the thread alone does not.
        worker.unref();
      };
      const onMessage = (isSame: boolean): void => {
        settle();
        resolve(isSame);
      };
      const onEnd = (): void => {
        settle();
        this.#worker = undefined;
        reject(new Error('passwords cannot be compared: the thread ended'));
      };
      worker.on('message', onMessage).on('error', onEnd).on('exit', onEnd);
      worker.postMessage({ password, hash });
    });
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task, task);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

/** The oldest one gives way. */
function remember(keys: Set<string>, key: string): void {
  keys.add(key);
  const [oldest] = keys;
  if (keys.size > REMEMBERED_MAX) keys.delete(oldest);
}

/** Name and password, as RFC 7617 has them. */
function parseBasic(header: string | undefined): [string, string] | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : [text.slice(0, colon), text.slice(colon + 1)];
}

/** A hash of no known password, as dear as the dearest that is there. */
function decoy(users: ReadonlyMap<string, string>): string {
  let cost = 4;
  for (const hash of users.values())
    cost = Math.max(cost, Number(/\$(\d\d)\$/.exec(hash)?.[1] ?? 4));
  return `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(22)}${'O'.repeat(31)}`;
}
