/** The Lua scripts: read from their files once, run by hash. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Commands } from './link.js';
import { isUnknownScript } from './outcomes.js';

const SCRIPT_NAMES = [
  'allowed',
  'block_finish',
  'block_gone',
  'block_put',
  'block_remove',
  'commit',
  'journal_drop',
  'layouts_drop',
  'lease',
  'release',
  'tiles_drop',
  'tiles_put',
  'trim',
] as const;
export type ScriptName = (typeof SCRIPT_NAMES)[number];

export interface Script {
  readonly lua: string;
  readonly sha: string;
}

export type Scripts = ReadonlyMap<ScriptName, Script>;

/** From the sources beside the built files: both `src/redis` and `dist/redis` lie two levels down. */
export async function readScripts(): Promise<Scripts> {
  const scripts = new Map<ScriptName, Script>();
  for (const name of SCRIPT_NAMES) {
    const url = new URL(`../../src/redis/scripts/${name}.lua`, import.meta.url);
    const lua = await readFile(url, 'utf8');
    scripts.set(name, { lua, sha: createHash('sha1').update(lua).digest('hex') });
  }
  return scripts;
}

/** Commands that scripts run, in upper case: what their user must be allowed. */
export function commandsOf(scripts: Scripts): string[] {
  const found = new Set<string>();
  for (const { lua } of scripts.values()) {
    for (const [, command] of lua.matchAll(/redis\.call\('([A-Z]+)'/g)) found.add(command);
  }
  return [...found].sort();
}

export type ScriptArgument = string | number | Buffer;

/** Runs a script by its name. */
export type RunScript = (
  name: ScriptName,
  keys: readonly string[],
  args: readonly ScriptArgument[],
) => Promise<unknown>;

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A write as one command: `short` at first, `whole` for a server that does not know its script. */
export interface WriteForms<T> {
  readonly short: (client: Commands) => Promise<T>;
  readonly whole: (client: Commands) => Promise<T>;
}

/** A script by its hash, and with its text (a server that was restarted or promoted has forgotten it). */
export function scriptForms(
  script: Script,
  keys: readonly string[],
  args: readonly ScriptArgument[],
): WriteForms<unknown> {
  return {
    short: (client) => client.evalsha(script.sha, keys.length, ...keys, ...args),
    whole: (client) => client.eval(script.lua, keys.length, ...keys, ...args),
  };
}

export async function runWrite<T>(client: Commands, { short, whole }: WriteForms<T>): Promise<T> {
  try {
    return await short(client);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return whole(client);
  }
}
