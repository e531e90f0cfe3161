import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JOURNAL_START, asDuration, asTime } from '@canopy/model';
import { systemClock, testEntry, testJournal } from '../testing/index.js';
import type { EmbeddedStore } from './embedded-store.js';
import { openEmbeddedStore } from './open-embedded-store.js';

const MIB = 1024 * 1024;
let path: string;
let child: ChildProcess | undefined;
let messages: string[];

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'canopy-crash-'));
  messages = [];
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(path, { recursive: true, force: true });
});

const open = (maxBytes = 64 * MIB): Promise<EmbeddedStore> =>
  openEmbeddedStore({
    path,
    maxBytes,
    clock: systemClock,
    log: (_level, message) => messages.push(message),
    onCorrupt: (record) => messages.push(`corrupt ${record.place}`),
  });

/** Runs the committing process until `enough` says so of the last acknowledged sequence, then kills it. */
async function commitAndKill(ref: string, enough: (sequence: number) => boolean): Promise<number> {
  const script = fileURLToPath(new URL('../testing/commit-child.ts', import.meta.url));
  const args = ['--import', 'tsx', '--conditions', 'canopy-source', script, path, ref];
  const running = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child = running;
  let errors = '';
  running.stderr.on('data', (text: Buffer) => {
    errors += text.toString();
  });
  const exited = once(running, 'exit');
  let output = '';
  await new Promise<void>((resolve, reject) => {
    running.stdout.on('data', (text: Buffer) => {
      output += text.toString();
      if (enough(lastNumber(output))) resolve();
    });
    void exited.then(() => reject(new Error(`the child ended: ${errors}`)));
  });
  running.kill('SIGKILL');
  await exited;
  return lastNumber(output);
}

const TAKEN_OVER = 'took over the storage folder of a process that is gone';
const READ_FIRST = 'the process before did not last: the whole store is read first';

/** Of the lines that are complete. */
function lastNumber(output: string): number {
  return Number(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1));
}

describe('embedded store and kill -9', () => {
  it('loses nothing that was acknowledged, and can be opened at once', async () => {
    const ref = testJournal();
    let acknowledged = 0;
    for (let round = 0; round < 2; round++) {
      const before = acknowledged;
      acknowledged = await commitAndKill(ref, (sequence) => sequence >= before + 400);
      const store = await open();
      const state = (await store.journal(ref))!;
      expect(state.position.sequence).toBeGreaterThanOrEqual(acknowledged);
      // Whole commits only, none of them twice.
      expect(state.position.sequence % 20).toBe(0);
      const entries = await store.readEntries(ref, JOURNAL_START, {
        maxBytes: 1e9,
        maxEntries: 1e9,
      });
      expect(entries.map(({ sequence }) => sequence)).toEqual(
        Array.from({ length: state.position.sequence }, (_, i) => i + 1),
      );
      expect((await store.readLayouts(ref)).length).toBe(state.position.sequence / 20);
      await store[Symbol.asyncDispose]();
      expect(messages).toEqual([TAKEN_OVER, READ_FIRST]);
      messages = [];
    }
  });
});

describe('folder lock', () => {
  const lockFile = (generation = 1): string => join(path, `lock.${generation}`);

  it('refuses a second store in one folder, with path and pid', async () => {
    const store = await open();
    await expect(open()).rejects.toMatchObject({
      code: 'storage_locked',
      message: `${path} is in use by the process with pid ${process.pid}`,
    });
    await store[Symbol.asyncDispose]();
    await (await open())[Symbol.asyncDispose]();
  });

  it('lets no two of many newcomers in, also over a stale lock', async () => {
    for (const stale of [undefined, 'rubbish', await otherHolder({ pid: 2 ** 22 + 1 })]) {
      if (stale !== undefined) await writeFile(lockFile(), stale);
      const results = await Promise.allSettled(Array.from({ length: 6 }, () => open()));
      const opened = results.filter((result) => result.status === 'fulfilled');
      for (const { value } of opened) await value[Symbol.asyncDispose]();
      // Newcomers that meet may all go away; never do two stay.
      expect(opened.length).toBeLessThanOrEqual(1);
      await (await open())[Symbol.asyncDispose]();
    }
  });

  it('takes over from a process whose pid is in use again', async () => {
    await writeFile(lockFile(), await otherHolder({ pid: process.pid, started: '1' }));
    await (await open())[Symbol.asyncDispose]();
    expect(messages[0]).toBe(TAKEN_OVER);
  });

  it('takes over from a silent process that cannot be looked up', async () => {
    await writeFile(lockFile(), await otherHolder({ pidNamespace: 'pid:[1]' }));
    const old = new Date(Date.now() - 60_000);
    await utimes(lockFile(), old, old);
    await (await open())[Symbol.asyncDispose]();
    expect(messages[0]).toBe(TAKEN_OVER);
  });

  it('stops writing when the folder was taken over', async () => {
    const other = await otherHolder({ token: 'other' });
    const store = await open();
    await writeFile(lockFile(2), other);
    const end = Date.now() + 8000;
    while (store.health.healthy && Date.now() < end) await new Promise((r) => setTimeout(r, 100));
    expect(store.health.healthy).toBe(false);
    await expect(store.putDocument('a', 'b')).rejects.toMatchObject({
      code: 'storage_unavailable',
    });
    await store[Symbol.asyncDispose]();
    expect(JSON.parse(await readFile(lockFile(2), 'utf8'))).toMatchObject({ token: 'other' });
  });

  /** The lock of this process, changed. */
  async function otherHolder(changes: object): Promise<string> {
    const store = await open();
    const mine = JSON.parse(await readFile(lockFile(), 'utf8')) as object;
    await store[Symbol.asyncDispose]();
    messages = [];
    return JSON.stringify({ ...mine, ...changes });
  }
});

describe('a full embedded store', () => {
  it('refuses writes over its limit, drops, and takes writes again', async () => {
    const store = await open(4 * MIB);
    const outcome = await store.acquireLease(testJournal(), 'one', asDuration(60_000));
    if (!outcome.granted) throw new Error('not granted');
    const { lease } = outcome;
    let sequence = 0;
    const add = async (): Promise<void> => {
      const expected = sequence === 0 ? null : { epoch: 1, sequence };
      const position = { epoch: 1, sequence: sequence + 1 };
      const entries = [testEntry(position, 'frame', 1, 100_000)];
      await store.commit({ lease, expected, position, entries, cursor: '', ledger: '{}' });
      sequence++;
    };
    const fill = async (): Promise<number> => {
      const before = sequence;
      for (;;) {
        try {
          await add();
        } catch (error) {
          expect(error).toMatchObject({ code: 'storage_full' });
          return sequence - before;
        }
      }
    };
    const first = await fill();
    expect(first).toBeGreaterThan(35);
    const full = await store.usage();
    expect(full.usedBytes).toBeLessThanOrEqual(full.limitBytes);
    expect(full.usedBytes).toBeGreaterThan(0.9 * full.limitBytes);
    await expect(add()).rejects.toMatchObject({ code: 'storage_full' });
    // Tiles have a reserve, for the journal is cut behind them; that is bounded, too.
    const putTile = (firstSequence: number): Promise<void> => {
      const times = { minTime: asTime(1), maxTime: asTime(2) };
      const meta = { epoch: 1, group: 1, firstSequence, lastSequence: firstSequence, ...times };
      const bytes = new Uint8Array(100_000);
      return store.putTiles(lease, [{ meta: { ...meta, byteLength: bytes.length }, bytes }]);
    };
    for (let tile = 1; tile <= 3; tile++) await putTile(tile);
    const tooMany = Array.from({ length: 100 }, (_, i) => putTile(10 + i));
    const refused = (await Promise.allSettled(tooMany)).filter(
      ({ status }) => status === 'rejected',
    );
    expect(refused.length).toBeGreaterThan(0);
    await store.dropTiles(lease, await store.tiles(lease.journal));
    expect((await store.journal(lease.journal))!.position.sequence).toBe(sequence);
    await store.trimJournal(lease, { epoch: 1, sequence: sequence - 10 });
    expect(await fill()).toBeGreaterThan(20);
    await store[Symbol.asyncDispose]();
  });
});
