/**
 * LMDB trusts the file it maps: a damaged page can end the process with a signal, and nobody is told why. So
 * where the process before did not last, another one reads everything first.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Clock, asDuration } from '@canopy/model';
import type { StoreLog } from '../health.js';
import { diskRoom } from './disk-room.js';
import { corruptFile } from './table.js';
import { TABLE_NAMES } from './tables.js';

/** Run by a Node of its own: module lmdb, the file, its tables. What the next writes touch is written as it is. */
const WALK = `
const [module_, path, ...names] = process.argv.slice(1);
const lmdb = require(module_);
const binary = { encoding: 'binary', keyEncoding: 'binary', cache: false };
const root = lmdb.open({ ...binary, path, noSubdir: true, maxDbs: names.length + 1 });
const tables = names.map((name) => root.openDB({ name, ...binary }));
const last = [];
for (const table of tables) {
  let count = 0;
  const note = ({ key, value }) => last.push([table, Buffer.from(key), Buffer.from(value)]);
  for (const record of table.getRange({})) if (count++ < 100) note(record);
  for (const record of table.getRange({ reverse: true, limit: 1 })) note(record);
}
root.transactionSync(() => {
  for (const [table, key, value] of last) table.putSync(key, value);
});
`;
const SIGNALS = new Set<string | null>(['SIGBUS', 'SIGSEGV', 'SIGABRT', 'SIGILL', 'SIGFPE']);
/** A process that ended sooner, in its recovery mostly, may have been ended by what it read. */
const BRIEF_MS = 60_000;
/** A pointer in a circle is read for ever. */
const LIMIT_MS = 30_000;
const SAID_MAX = 10_000;
const LIMIT_BYTES_PER_MS = 20_000;

/**
 * `lastedMs`: how long the process before lasted, where it did not end well. Once in doubt a file is tried until
 * it is read whole.
 * @throws CanopyError `storage_corrupt` where reading the file ends a process, or does not end.
 */
export async function tryToRead(
  file: string,
  clock: Clock,
  lastedMs: number | undefined,
  log: StoreLog,
): Promise<void> {
  const doubt = `${file}-doubtful`;
  const [size, before] = await Promise.all([sizeOf(file), sizeOf(doubt)]);
  const isDoubtful = lastedMs !== undefined && lastedMs < BRIEF_MS;
  if (size === undefined || (!isDoubtful && before === undefined)) return;
  await writeFile(doubt, '');
  const { freeBytes, deletionBytes } = diskRoom(file);
  if (freeBytes < deletionBytes) {
    log('warn', 'the process before did not last; there is no room on the disk to try its store');
    return;
  }
  log('info', 'the process before did not last: the whole store is read first', { bytes: size });
  const lmdb = createRequire(import.meta.url).resolve('lmdb');
  const reader = spawn(process.execPath, ['-e', WALK, lmdb, file, ...TABLE_NAMES], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  reader.stderr.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-SAID_MAX);
  });
  let isLate = false;
  const timer = clock.after(asDuration(LIMIT_MS + size / LIMIT_BYTES_PER_MS), () => {
    isLate = true;
    reader.kill('SIGKILL');
  });
  const [code, signal] = (await once(reader, 'close')) as [number | null, NodeJS.Signals | null];
  timer.cancel();
  if (isLate) throw corruptFile(file, 'reading it does not end');
  const error = /^\w*Error: .*/m.exec(said)?.[0] ?? '';
  if (code === 1 && error !== '') throw corruptFile(file, `it cannot be read: ${error}`);
  if (SIGNALS.has(signal)) throw corruptFile(file, `reading it ended a process with ${signal}`);
  await rm(doubt, { force: true });
}

const sizeOf = (file: string): Promise<number | undefined> =>
  stat(file).then(
    ({ size }) => size,
    () => undefined,
  );
