/** The Lua scripts: read from their files once, run by hash. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { errorText } from '@canopy/model';
import type { Commands } from './link.js';

const SCRIPT_NAMES = [
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

export type ScriptArgument = string | number | Buffer;

/** Runs a script by its hash, in one command; fails with NOSCRIPT where the server does not know it. */
export function sendScript(
  client: Commands,
  script: Script,
  keys: readonly string[],
  args: readonly ScriptArgument[],
): Promise<unknown> {
  return client.evalsha(script.sha, keys.length, ...keys, ...args);
}

/** Runs a script by its hash; a server that does not know it (restarted, promoted) is sent the text. */
export async function runScript(
  client: Commands,
  script: Script,
  keys: readonly string[],
  args: readonly ScriptArgument[],
): Promise<unknown> {
  try {
    return await sendScript(client, script, keys, args);
  } catch (error) {
    if (!errorText(error).startsWith('NOSCRIPT')) throw error;
    return client.eval(script.lua, keys.length, ...keys, ...args);
  }
}
