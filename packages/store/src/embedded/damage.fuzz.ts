/**
 * Bits of a store's file flip while no process has it. Whoever opens it then says what is wrong or serves only
 * what is right; where LMDB ends the process, the next start says why. Not checked here: what a damaged key hides
 * from a search that begins in its page, and what a damaged pointer in a page hides (keys.format.md).
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type JournalPosition, type TileMeta, asDuration, asTime } from '@canopy/model';
import { systemClock, testEntry, testJournal } from '../testing/index.js';
import { DOCUMENTS, type ReadStore, readStore } from '../testing/read-child.js';
import { openEmbeddedStore } from './open-embedded-store.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 60);
const CHILD = fileURLToPath(new URL('../testing/read-child.ts', import.meta.url));
const PAGE_BYTES = 4096;
/** Of a page; behind it two bytes for each record say where it lies, here at most so many. */
const HEADER_BYTES = 24;
const POINTERS_BYTES = 224;

let folder: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'canopy-damage-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

/** Entries of all sizes, layouts, tiles, documents. */
async function fill(path: string, ref: ReturnType<typeof testJournal>): Promise<void> {
  const store = await openEmbeddedStore({
    ...{ path, maxBytes: 64 << 20, clock: systemClock, log: () => {}, onCorrupt: () => {} },
  });
  const outcome = await store.acquireLease(ref, 'writer', asDuration(60_000));
  if (!outcome.granted) throw new Error('not granted');
  const { lease } = outcome;
  let expected: JournalPosition | null = null;
  for (let round = 0; round < 20; round++) {
    const from: number = round * 20;
    const entries = Array.from({ length: 20 }, (_, i) =>
      testEntry(
        { epoch: 1, sequence: from + i + 1 },
        ...([i === 0 ? 'layout' : 'frame', 1, [40, 300, 1500, 5000][(round + i) % 4]] as const),
      ),
    );
    const position = { epoch: 1, sequence: from + 20 };
    await store.commit({ lease, expected, position, entries, cursor: 'c', ledger: '{}' });
    expected = position;
  }
  const extent = { epoch: 1, firstSequence: 1, lastSequence: 2, byteLength: 300 };
  const times = { minTime: asTime(1), maxTime: asTime(2) };
  const tiles = Array.from({ length: 100 }, (_, i) => {
    const meta: TileMeta = { ...extent, ...times, group: i + 1 };
    return { meta, bytes: Buffer.alloc(300, i) };
  });
  await store.putTiles(lease, tiles);
  for (let i = 0; i < DOCUMENTS; i++) await store.putDocument(`d${i}`, 'x'.repeat(50 * i));
  await store[Symbol.asyncDispose]();
}

/** In a process that may end by it: then undefined. */
async function readElsewhere(path: string, ref: string): Promise<ReadStore | undefined> {
  child ??= fork(CHILD, {
    execArgv: ['--import', 'tsx', '--conditions', 'canopy-source'],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const reader = child;
  reader.send([path, ref]);
  const answer = await Promise.race([
    once(reader, 'message').then(([read]) => read as ReadStore),
    once(reader, 'exit').then(() => undefined),
  ]);
  reader.removeAllListeners();
  if (answer === undefined) child = undefined;
  return answer;
}

async function flip(file: string, at: number, bit: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] ^= 1 << bit;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

/** Nothing but what was written; what is missing was reported. */
function check(read: ReadStore, whole: ReadStore, place: string, isPointer: boolean): void {
  if (read.error !== undefined)
    return expect(read.error, place).toMatch(/^storage_corrupt .*damaged/);
  expect([read.state, read.documents], place).toEqual([whole.state, whole.documents]);
  expect(whole.entries, place).toMatchObject(read.entries);
  expect(whole.layouts, place).toEqual(expect.arrayContaining(read.layouts));
  let missing = Object.keys(whole.entries).length - Object.keys(read.entries).length;
  for (const [group, tile] of Object.entries(read.tiles)) {
    // Without bytes: the head names it.
    if (tile !== '') expect(tile, place).toBe(whole.tiles[group]);
  }
  missing += Object.keys(whole.tiles).length - Object.keys(read.tiles).length;
  if (!isPointer) expect(read.reported, place).toBeGreaterThanOrEqual(missing);
}

it('a flipped bit is named, and never a value', async () => {
  const ref = testJournal();
  const original = join(folder, 'original');
  await fill(original, ref);
  const whole = await readStore(original, ref as never);
  expect([whole.error, whole.reported, Object.keys(whole.entries).length]).toEqual([
    undefined,
    0,
    400,
  ]);
  const { size } = await stat(join(original, 'store.mdb'));
  let found = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const path = join(folder, `${round}`);
    const file = join(path, 'store.mdb');
    await mkdir(path);
    await copyFile(join(original, 'store.mdb'), file);
    const random = (bound: number, salt: number): number =>
      ((Math.imul(round * 8 + salt, 0x9e3779b1) ^ 0x5bd1e995) >>> 0) % bound;
    // Every second one where pages say how they are laid out.
    const page = random(size / PAGE_BYTES, 1);
    const at = page * PAGE_BYTES + random(round % 2 === 0 ? PAGE_BYTES : 64, 2);
    const bit = random(8, 3);
    const isPointer = at % PAGE_BYTES >= HEADER_BYTES && at % PAGE_BYTES < POINTERS_BYTES;
    const place = `byte ${at} bit ${bit}`;
    await flip(file, at, bit);
    const read = await readElsewhere(path, ref);
    if (read === undefined) {
      // The process is gone; the next one says why, and goes on saying so (or is past it: a page was written anew).
      for (let start = 0; start < 2; start++) {
        const after = await readElsewhere(path, ref);
        if (after === undefined) throw new Error(`ended without a word, again: ${place}`);
        check(after, whole, place, isPointer);
      }
      found++;
    } else {
      check(read, whole, place, isPointer);
      if (read.error !== undefined || read.reported > 0) found++;
    }
    await rm(path, { recursive: true });
  }
  expect(found).toBeGreaterThan(ROUNDS / 10);
}, 200_000);
