/** Whether a command, with its options, is one that Redis 6.2 has: read out of what a newer Redis tells of itself. */
import type { RedisServer } from './redis-server.js';

/** A part of a command's arguments, as COMMAND DOCS describes it. */
interface Argument {
  readonly type: string;
  readonly token?: string;
  /** Version that brought it; none: the command's own. */
  readonly since?: string;
  readonly flags?: readonly string[];
  readonly arguments?: readonly Argument[];
}

interface CommandDoc {
  readonly since: string;
  /** Version and what it changed, in prose. */
  readonly history?: ReadonlyArray<readonly [since: string, change: string]>;
  readonly arguments?: readonly Argument[];
  readonly subcommands?: ReadonlyMap<string, CommandDoc>;
}

export type CommandDocs = ReadonlyMap<string, CommandDoc>;

/** A command as it was sent; the name in lower case, a subcommand as `config|get`. */
export interface SentCommand {
  readonly name: string;
  readonly args: readonly string[];
}

/**
 * Changes after 6.2 that are no option of their own, of commands that are in use: `is` tells whether a command makes use of
 * one. A change that is not in this list is a complaint, until somebody has read it.
 */
const LATER_CHANGES: Readonly<Record<string, (args: readonly string[]) => boolean>> = {
  'set 7.0.0 Allowed the `NX` and `GET` options to be used together.': (args) =>
    args.includes('NX') && args.includes('GET'),
  'xadd 7.0.0 Added support for the `<ms>-*` explicit ID form.': (args) => /^\d+-\*$/.test(args[1]),
  'info 7.0.0 Added support for taking multiple section arguments.': (args) => args.length > 1,
  'config|get 7.0.0 Added the ability to pass multiple pattern parameters in one call': (args) =>
    args.length > 1,
  // Of the reply; ioredis reads host and port.
  'cluster|slots 7.0.0 Added additional networking metadata field.': () => false,
};

/** Asks a Redis 7 or later. */
export async function readCommandDocs(server: Pick<RedisServer, 'command'>): Promise<CommandDocs> {
  return toCommands(await server.command('command', 'docs'));
}

/** What keeps a Redis of `version` from taking the command; '' where nothing does. */
export function findNewer(docs: CommandDocs, { name, args }: SentCommand, version = '6.2'): string {
  const [parent] = name.split('|');
  const doc = name === parent ? docs.get(name) : docs.get(parent)?.subcommands?.get(name);
  if (doc === undefined) return `${name} is not a command`;
  if (isAfter(doc.since, version)) return `${name} came with ${doc.since}`;
  for (const [since, change] of doc.history ?? []) {
    if (!isAfter(since, version)) continue;
    const isUsed = LATER_CHANGES[`${name} ${since} ${change}`];
    if (isUsed === undefined) return `${name} changed with ${since} (is it used?): ${change}`;
    if (isUsed(args)) return `${name} as it is since ${since}: ${change}`;
  }
  const known = doc.arguments ?? [];
  if (ends(known, args, new Set([0]), version).has(args.length)) return '';
  const shown = args.map((arg) => (arg.length > 20 ? '…' : arg)).join(' ');
  return `${name} of ${version} does not take: ${shown}`;
}

/** Where the arguments can end that begin at one of `starts`, with what `version` has of `known`. */
function ends(
  known: readonly Argument[],
  args: readonly string[],
  starts: ReadonlySet<number>,
  version: string,
): Set<number> {
  let places = new Set(starts);
  for (const argument of known) {
    const { flags = [] } = argument;
    const after = new Set(flags.includes('optional') ? places : []);
    if (argument.since === undefined || !isAfter(argument.since, version)) {
      let found = once(argument, args, places, version);
      while (found.size > 0) {
        const before = after.size;
        for (const place of found) after.add(place);
        if (!flags.includes('multiple') || after.size === before) break;
        found = once(argument, args, found, version);
      }
    }
    places = after;
  }
  return places;
}

function once(
  argument: Argument,
  args: readonly string[],
  starts: ReadonlySet<number>,
  version: string,
): Set<number> {
  const { type, token } = argument;
  const found = new Set<number>();
  for (const start of starts) {
    const hasToken = token === undefined || args[start]?.toUpperCase() === token;
    if (!hasToken) continue;
    const at = token === undefined ? start : start + 1;
    const inner = argument.arguments ?? [];
    if (type === 'pure-token') found.add(at);
    else if (type === 'block')
      for (const end of ends(inner, args, new Set([at]), version)) found.add(end);
    else if (type === 'oneof') {
      for (const one of inner)
        for (const end of ends([one], args, new Set([at]), version)) found.add(end);
    } else if (at < args.length && (type !== 'integer' || /^-?\d+$/.test(args[at])))
      found.add(at + 1);
  }
  return found;
}

function isAfter(since: string, version: string): boolean {
  const [a, b] = [since, version].map((text) => text.split('.').map(Number));
  return a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]);
}

/** Maps of the protocol's second version are lists: name, value, name, value. */
function pairs(list: unknown): Array<[string, unknown]> {
  const parts = list as unknown[];
  return Array.from({ length: parts.length / 2 }, (_, i) => [
    String(parts[2 * i]),
    parts[2 * i + 1],
  ]);
}

function toCommands(list: unknown): Map<string, CommandDoc> {
  return new Map(pairs(list).map(([name, doc]) => [name, toDoc(doc)]));
}

function toDoc(list: unknown): CommandDoc {
  const fields = Object.fromEntries(pairs(list));
  const { arguments: inner, subcommands, ...plain } = fields as Record<string, unknown[]>;
  return {
    ...plain,
    ...(inner === undefined ? {} : { arguments: inner.map(toArgument) }),
    ...(subcommands === undefined ? {} : { subcommands: toCommands(subcommands) }),
  } as unknown as CommandDoc;
}

function toArgument(list: unknown): Argument {
  const { arguments: inner, ...plain } = Object.fromEntries(pairs(list)) as Record<
    string,
    unknown[]
  >;
  const more = inner === undefined ? {} : { arguments: inner.map(toArgument) };
  return { ...plain, ...more } as unknown as Argument;
}
