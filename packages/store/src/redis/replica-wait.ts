/** Writes that count once replicas have them: sent together, then one WAIT for all of them. */
import type { DurationMs } from '@canopy/model';
import type { Redis } from 'ioredis';
import { type Commands, type LinkOptions, RedisLink } from './link.js';

export interface ReplicaWaitOptions {
  readonly waitReplicas: number;
  readonly waitTimeout: DurationMs;
}

interface Write {
  readonly commands: (client: Commands) => Promise<unknown>;
  readonly done: (value: unknown) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * WAIT speaks of what its own connection has written and holds up what follows, so these writes have a
 * connection of their own to each master. Writes that come while one waits go together with the next.
 */
export class ReplicaWait {
  readonly #link: RedisLink;
  readonly #options: ReplicaWaitOptions;
  readonly #queues = new Map<Redis, Write[]>();

  constructor(link: LinkOptions, options: ReplicaWaitOptions) {
    const commandTimeoutMs = link.commandTimeoutMs + options.waitTimeout;
    this.#link = new RedisLink({ ...link, commandTimeoutMs });
    this.#options = options;
    const told = (): void => {};
    // The other connection says what is wrong.
    this.#link.on('error', told);
    this.#link.on('node error', told);
  }

  /** The same connections without waiting: they follow redirections, and learn from them. */
  get commands(): Commands {
    return this.#link.commands;
  }

  async open(): Promise<void> {
    await this.#link.connect().catch(() => undefined);
  }

  close(): void {
    this.#link.close();
  }

  /**
   * Resolves when enough replicas have what `commands`, one command, wrote on the master of `key`.
   * @throws Error with too few of them; else what Redis said, redirections included.
   */
  run<T>(commands: (client: Commands) => Promise<T>, key: string): Promise<T> {
    const node = this.#link.masterOf(key);
    if (node === undefined) return Promise.reject(new Error('Connection is closed.'));
    return new Promise((done, failed) => {
      const write: Write = { commands, done: done as Write['done'], failed };
      const queue = this.#queues.get(node);
      if (queue !== undefined) {
        queue.push(write);
        return;
      }
      this.#queues.set(node, [write]);
      void this.#send(node);
    });
  }

  async #send(node: Redis): Promise<void> {
    for (;;) {
      const writes = this.#queues.get(node)!.splice(0);
      if (writes.length === 0) break;
      // In one tick, so on one connection: WAIT covers what was written before it there.
      const replies = writes.map(({ commands }) => commands(node));
      const { waitReplicas, waitTimeout } = this.#options;
      const waited = node.wait(waitReplicas, waitTimeout);
      const [[acknowledged], results] = await Promise.all([
        Promise.allSettled([waited]),
        Promise.allSettled(replies),
      ]);
      results.forEach((result, i) => {
        const { done, failed } = writes[i];
        if (result.status === 'rejected') failed(result.reason);
        else if (acknowledged.status === 'rejected') failed(acknowledged.reason);
        else if (acknowledged.value >= waitReplicas) done(result.value);
        else failed(this.#tooFew(acknowledged.value));
      });
    }
    this.#queues.delete(node);
  }

  #tooFew(count: number): Error {
    const { waitReplicas, waitTimeout } = this.#options;
    return new Error(
      `${count} of ${waitReplicas} replicas had the write after ${waitTimeout} ms ` +
        '(--store.redis.wait-replicas)',
    );
  }
}
