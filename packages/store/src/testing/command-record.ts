/** What is sent to Redis, by its clients in this process and by scripts inside of it. */
import { Redis } from 'ioredis';
import type { SentCommand } from './command-docs.js';
import { type RedisServer, isTestClient } from './redis-server.js';

/** Commands whose first argument belongs to their name. */
const WITH_SUBCOMMAND = new Set(['acl', 'client', 'cluster', 'config', 'script', 'sentinel']);

/** Each command is noted, its arguments cut to 128 bytes. */
export const SLOWLOG_ALL = ['--slowlog-log-slower-than', '0', '--slowlog-max-len', '100000'];

export class CommandRecord {
  /** Each form once: arguments count by their number and by what looks like a word of Redis. */
  readonly #sent = new Map<string, SentCommand>();
  readonly #original = Redis.prototype.sendCommand;

  /** From now on: what every client sends, but for those of tests themselves. */
  begin(): void {
    const [record, original] = [this, this.#original];
    Redis.prototype.sendCommand = function (command, ...more) {
      if (!isTestClient(this)) record.#add(command.name, command.args.map(String));
      return original.call(this, command, ...more);
    };
  }

  /** Also what scripts ran inside of a server that was started with SLOWLOG_ALL. `commands`: those of scripts. */
  async addScripts(server: RedisServer, commands: readonly string[]): Promise<void> {
    const entries = (await server.command('slowlog', 'get', '-1')) as Array<
      [id: number, at: number, microseconds: number, args: string[]]
    >;
    for (const [, , , [name, ...args]] of entries) {
      if (commands.includes(name.toUpperCase())) this.#add(name, args);
    }
  }

  end(): void {
    Redis.prototype.sendCommand = this.#original;
  }

  get sent(): SentCommand[] {
    return [...this.#sent.values()];
  }

  #add(word: string, args: readonly string[]): void {
    const name = word.toLowerCase();
    const hasMore = WITH_SUBCOMMAND.has(name) && args.length > 0;
    const full = hasMore ? `${name}|${args[0].toLowerCase()}` : name;
    const rest = hasMore ? args.slice(1) : args;
    const form = rest.map((arg) => (/^[A-Z=~]{1,12}$/.test(arg) ? arg : arg === '' ? '' : '.'));
    const key = `${full} ${form.join(' ')}`;
    if (!this.#sent.has(key)) this.#sent.set(key, { name: full, args: rest });
  }
}
