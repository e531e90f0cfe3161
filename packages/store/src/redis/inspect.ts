/** What a server says of itself: whether it can be used, and what is worth knowing of it, in words. */
import { errorText, formatBytes } from '@canopy/model';
import type { Redis } from 'ioredis';
import type { RedisAddress } from './address.js';

const VERSION_MIN = [6, 2] as const;

/** `name:value` lines of INFO; `save` and `appendfsync` of CONFIG where it may be asked. */
export type Facts = ReadonlyMap<string, string>;

/** Set among facts where the ACL user may not ask; commands of scripts that the user may not run. */
const INFO_REFUSED = 'canopy_info_refused';
const FORBIDDEN = 'canopy_forbidden';

/** What the ACL is asked about: scripts/allowed.lua, a key of the store, commands. */
export interface AclQuestion {
  readonly lua: string;
  readonly key: string;
  readonly commands: readonly string[];
}

/**
 * Asks a server. What its ACL forbids is left out, not an error.
 * @throws whatever ioredis throws for a server that does not answer or refuses the user.
 */
export async function readFacts(node: Redis, acl: AclQuestion): Promise<Facts> {
  const [forbidden, info, save, sync] = await Promise.all([
    refusable(node.eval(acl.lua, 0, acl.key, ...acl.commands)),
    refusable(node.info()),
    refusable(node.config('GET', 'save')),
    refusable(node.config('GET', 'appendfsync')),
  ]);
  const facts = parseInfo(info ?? `${INFO_REFUSED}:1`);
  const words = forbidden === undefined ? 'EVAL' : (forbidden as string[]).join(', ');
  if (facts.get('loading') !== '1' && words !== '') facts.set(FORBIDDEN, words);
  for (const reply of [save, sync]) {
    const [name, value] = (reply ?? []) as string[];
    if (name !== undefined) facts.set(name, value);
  }
  return facts;
}

/** Undefined where it is forbidden, or (CONFIG at some hosts) renamed away. */
async function refusable<T>(reply: Promise<T>): Promise<T | undefined> {
  try {
    return await reply;
  } catch (error) {
    if (/^NOPERM\b|unknown command|unknown subcommand/i.test(errorText(error))) return undefined;
    // A server that loads its data answers INFO, not CONFIG.
    if (/^LOADING\b/.test(errorText(error))) return undefined;
    throw error;
  }
}

/** What makes a server unusable, with what mends it; '' where it is usable or does not say. */
export function findComplaint(facts: Facts, kind: RedisAddress['kind'] = 'alone'): string {
  const forbidden = facts.get(FORBIDDEN);
  if (forbidden !== undefined) {
    return `does not let the user of the store's address run ${forbidden} (README.md has the ACL rule)`;
  }
  if (facts.has(INFO_REFUSED)) return '';
  const version = facts.get('redis_version') ?? '0';
  const [major, minor] = version.split('.').map(Number);
  if (major < VERSION_MIN[0] || (major === VERSION_MIN[0] && minor < VERSION_MIN[1])) {
    return `has version ${version}; ${VERSION_MIN.join('.')} or later is needed`;
  }
  const policy = facts.get('maxmemory_policy') ?? 'noeviction';
  // Without a limit nothing is ever evicted, but the limit may come later without a restart.
  if (policy !== 'noeviction') {
    return (
      `has maxmemory-policy ${policy}, which would drop metrics without a word; ` +
      'set it with: redis-cli CONFIG SET maxmemory-policy noeviction'
    );
  }
  if (kind !== 'cluster' && facts.get('redis_mode') === 'cluster') {
    return 'is a node of a cluster, whose address begins with redis+cluster://';
  }
  if (kind !== 'sentinel' && facts.get('redis_mode') === 'sentinel') {
    return 'is a Sentinel; an address with Sentinel is redis+sentinel://HOST:PORT/MASTER';
  }
  if (kind === 'alone' && facts.get('role') === 'slave') {
    return 'is a replica; the address of the master is needed';
  }
  return '';
}

/** '' where the server can take commands. */
export function findWait(facts: Facts): string {
  if (facts.get('loading') !== '1') return '';
  const left = Number(facts.get('loading_eta_seconds') ?? 0);
  const percent = Math.floor(Number(facts.get('loading_loaded_perc') ?? 0));
  return `is loading its data: ${percent} %, about ${left} s left`;
}

export interface Described {
  readonly text: string;
  /** Nothing that a person should see to. */
  readonly safe: boolean;
}

/** Version, limit and persistence in words. */
export function describeServer(facts: Facts, waitReplicas: number): Described {
  if (facts.has(INFO_REFUSED)) {
    const text =
      'the user may not run INFO: version, maxmemory, maxmemory-policy and persistence are not ' +
      'known, and --retention.bytes 0 sets no limit';
    return { text, safe: false };
  }
  const limit = Number(facts.get('maxmemory') ?? 0);
  const memory = limit === 0 ? 'no maxmemory is set' : `maxmemory is ${formatBytes(limit)}`;
  const persistence = describePersistence(facts);
  const replicas = Number(facts.get('connected_slaves') ?? 0);
  const parts = [memory, persistence.text];
  const tooFew = replicas < waitReplicas;
  if (tooFew) {
    parts.push(`${replicas} replicas are connected where commits wait for ${waitReplicas}`);
  }
  return { text: parts.join(', '), safe: limit !== 0 && persistence.safe && !tooFew };
}

function describePersistence(facts: Facts): Described {
  if (facts.get('aof_enabled') === '1') {
    const sync = facts.get('appendfsync');
    if (sync === 'no') {
      const text =
        'the append-only file is on without fsync, so a crash of the machine loses the last half minute';
      return { text, safe: false };
    }
    const how =
      sync === undefined ? '' : sync === 'always' ? ', synced always' : ', synced every second';
    return { text: `the append-only file is on${how}`, safe: true };
  }
  const save = facts.get('save');
  if (save === '') {
    const text = 'nothing is saved to disk, so an end of Redis loses everything it holds';
    return { text, safe: false };
  }
  const unknown =
    save === undefined ? ' (CONFIG is forbidden: whether there is one is not known)' : '';
  return {
    text: `the append-only file is off, so a crash of Redis loses what came after its last snapshot${unknown}`,
    safe: false,
  };
}

/** `name:value` lines of INFO. */
export function parseInfo(text: string): Map<string, string> {
  const facts = new Map<string, string>();
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) facts.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return facts;
}
