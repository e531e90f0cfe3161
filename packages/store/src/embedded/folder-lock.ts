/**
 * One process for a folder. Node has no flock, so the lock is a file that names its holder, and
 * a holder that is gone (kill -9 included) is noticed: by pid and start time where holder and
 * newcomer see the same processes, by a heartbeat where they do not (two containers, one volume).
 */
import { randomUUID } from 'node:crypto';
import {
  link,
  lstat,
  lutimes,
  readFile,
  readdir,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { CanopyError, type Clock, type Timer, asDuration, errorText, sleep } from '@canopy/model';
import type { StoreLog } from '../health.js';

/** Lock files are numbered: a newcomer takes the number after that of a holder that is gone. */
const LOCK = 'lock.';
const HEARTBEAT_MS = asDuration(3000);
/** A holder that cannot be looked up is gone when its heartbeat rests for this long. */
const SILENCE_MS = asDuration(10_000);
const TRIES_MAX = 20;

interface Holder {
  readonly pid: number;
  /** Clock ticks since boot, from /proc; '' where there is none. */
  readonly started: string;
  readonly boot: string;
  /** Processes with another one do not see each other's pids. */
  readonly pidNamespace: string;
  readonly token: string;
  /** When it took the folder, ms since epoch; 0: not known. */
  readonly since: number;
}

export interface FolderLock {
  /** How long a holder that is gone without a word had held it; undefined: there was none. Milliseconds. */
  readonly lastedMs: number | undefined;
  /** Gives the folder free; harmless more than once. */
  release(): Promise<void>;
}

/** @throws CanopyError `storage_locked` while another process holds it. */
export async function lockFolder(
  folder: string,
  clock: Clock,
  log: StoreLog,
  onLost: () => void,
): Promise<FolderLock> {
  const mine = await describeSelf(clock);
  const draft = join(folder, `draft.${mine.token}`);
  await writeDraft(draft, mine);
  const gone = new Map<string, Placed>();
  try {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const before = await findAlive(folder, mine, gone, clock);
      if (before !== undefined) throw locked(folder, before);
      const generation = Math.max(0, ...[...gone.values()].map((placed) => placed.generation)) + 1;
      const file = join(folder, `${LOCK}${generation}`);
      if (!(await placeLock(draft, file))) continue;
      // Of two that came at once, the later one sees the file of the other now, for certain.
      const other = await findAlive(folder, mine, gone, clock);
      if (other !== undefined) {
        await rm(file, { force: true });
        throw locked(folder, other);
      }
      const lastedMs = await removeGone(folder, gone, log);
      return { lastedMs, ...holdLock(folder, file, generation, mine, clock, onLost) };
    }
  } finally {
    await rm(draft, { force: true });
  }
  throw locked(folder, undefined);
}

/** On a disk without room a symbolic link takes the file's place: a short one stands in its folder's own blocks. */
async function writeDraft(draft: string, mine: Holder): Promise<void> {
  try {
    await writeFile(draft, JSON.stringify(mine));
  } catch (error) {
    if (codeOf(error) !== 'ENOSPC' && codeOf(error) !== 'EDQUOT') throw error;
    await rm(draft, { force: true });
    await symlink(shortOf(mine), draft);
  }
}

/** At most 59 characters, of which ext4 needs no block. */
function shortOf({ pid, started, boot, pidNamespace, token, since }: Holder): string {
  const namespace = /\d+/.exec(pidNamespace)?.[0] ?? '';
  const numbers = [pid, since].map((number) => Math.round(number).toString(36));
  return [...numbers, started, boot.slice(0, 8), namespace, token.slice(0, 8)].join('/');
}

/** Of `mine` what cannot be told from it. */
function holderOfShort(text: string, mine: Holder): Holder | 'damaged' {
  const [pid, since, started, boot, namespace, token] = text.split('/');
  if (token === undefined || !Number.isSafeInteger(parseInt(pid, 36))) return 'damaged';
  const isMine = shortOf(mine) === text;
  const isSameBoot = mine.boot.slice(0, 8) === boot;
  const isSameView = /\d+/.exec(mine.pidNamespace)?.[0] === namespace;
  return {
    pid: parseInt(pid, 36),
    since: parseInt(since, 36),
    started,
    boot: isSameBoot ? mine.boot : boot,
    pidNamespace: isSameView ? mine.pidNamespace : namespace,
    token: isMine ? mine.token : token,
  };
}

/** A lock file as it was read; a holder of the same name may come later. */
interface Placed {
  readonly file: string;
  readonly generation: number;
  readonly holder: Holder | undefined;
}

/** `link` fails where the name is taken: exactly one newcomer gets it, whole. */
async function placeLock(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** A living holder other than oneself; those found gone are added to `gone`, by what they wrote. */
async function findAlive(
  folder: string,
  mine: Holder,
  gone: Map<string, Placed>,
  clock: Clock,
): Promise<Holder | undefined> {
  for (const placed of await readLocks(folder, mine)) {
    const { holder, file } = placed;
    const key = `${file} ${holder?.token ?? ''}`;
    if (gone.has(key) || holder?.token === mine.token) continue;
    if (holder !== undefined && (await isAlive(holder, mine, file, clock))) return holder;
    gone.set(key, placed);
  }
  return undefined;
}

async function readLocks(folder: string, mine: Holder): Promise<Placed[]> {
  const locks: Placed[] = [];
  for (const name of await readdir(folder)) {
    const generation = name.startsWith(LOCK) ? Number(name.slice(LOCK.length)) : Number.NaN;
    if (!Number.isSafeInteger(generation)) continue;
    const file = join(folder, name);
    const holder = await readHolder(file, mine);
    if (holder !== 'gone') {
      locks.push({ file, generation, holder: holder === 'damaged' ? undefined : holder });
    }
  }
  return locks;
}

/** How long the newest of them lasted. */
async function removeGone(
  folder: string,
  gone: ReadonlyMap<string, Placed>,
  log: StoreLog,
): Promise<number | undefined> {
  let lastedMs: number | undefined;
  for (const { file, holder } of gone.values()) {
    // Its heartbeat, the last time.
    lastedMs = (await modifiedAt(file)) - (holder?.since ?? 0);
    await rm(file, { force: true });
    const pid = holder?.pid ?? 0;
    log('warn', 'took over the storage folder of a process that is gone', { path: folder, pid });
  }
  return lastedMs;
}

async function isAlive(holder: Holder, mine: Holder, file: string, clock: Clock): Promise<boolean> {
  const sameView = holder.boot === mine.boot && holder.pidNamespace === mine.pidNamespace;
  if (sameView && holder.started !== '') return (await startOf(holder.pid)) === holder.started;
  if (sameView && holder.boot === '') return pidExists(holder.pid);
  const before = await modifiedAt(file);
  if (clock.now() - before > SILENCE_MS) return false;
  for (let waited = 0; waited < SILENCE_MS; waited += HEARTBEAT_MS) {
    await sleep(clock, HEARTBEAT_MS);
    if ((await modifiedAt(file)) !== before) return true;
  }
  return false;
}

function holdLock(
  folder: string,
  file: string,
  generation: number,
  mine: Holder,
  clock: Clock,
  onLost: () => void,
): Pick<FolderLock, 'release'> {
  let timer: Timer | undefined;
  let released = false;
  const beat = async (): Promise<void> => {
    // A folder that cannot be listed at the moment is not lost.
    const others = await readLocks(folder, mine).catch(() => []);
    if (released) return;
    if (others.some((other) => other.generation > generation)) return onLost();
    const now = new Date(clock.now());
    await lutimes(file, now, now).catch(() => undefined);
    if (!released) timer = clock.after(HEARTBEAT_MS, () => void beat());
  };
  timer = clock.after(HEARTBEAT_MS, () => void beat());
  return {
    async release() {
      if (released) return;
      released = true;
      timer?.cancel();
      const holder = await readHolder(file, mine);
      if (typeof holder === 'object' && holder.token === mine.token)
        await rm(file, { force: true });
    },
  };
}

async function describeSelf(clock: Clock): Promise<Holder> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const pidNamespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return {
    pid: process.pid,
    started: await startOf(process.pid),
    boot: boot.trim(),
    pidNamespace,
    token: randomUUID(),
    since: clock.now(),
  };
}

/** When the process began, in ticks since boot; '' where there is no such process or no /proc. */
async function startOf(pid: number): Promise<string> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The command in brackets may hold anything; fields count from behind it. See proc(5): 22.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

async function readHolder(file: string, mine: Holder): Promise<Holder | 'gone' | 'damaged'> {
  const short = await readlink(file).catch(() => undefined);
  if (short !== undefined) return holderOfShort(short, mine);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'gone';
    throw error;
  }
  try {
    const holder = JSON.parse(text) as Partial<Holder> | null;
    if (typeof holder?.pid === 'number' && typeof holder.token === 'string') {
      return holder as Holder;
    }
  } catch {
    // Falls through: not ours to understand, and whoever wrote it does not hold it.
  }
  return 'damaged';
}

async function modifiedAt(file: string): Promise<number> {
  try {
    return (await lstat(file)).mtimeMs;
  } catch {
    return 0;
  }
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

function locked(folder: string, holder: Holder | undefined): CanopyError {
  const who = holder === undefined ? 'another process' : `the process with pid ${holder.pid}`;
  return new CanopyError('storage_locked', `${folder} is in use by ${who}`);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? errorText(error);
}
