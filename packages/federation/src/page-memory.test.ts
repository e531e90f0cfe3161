/** Pages whose sizes, counts and numbers are absurd take no more memory than they have bytes, and some objects. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

/** Off V8's heap, too: arrays that a count asks for. */
const MIB_MAX = 96;
const HEAP_MIB_MAX = 48;

/** A process of its own: what is measured is the most that it ever took. */
const SCRIPT = `
import { readFileSync } from 'node:fs';
import { crc32c, encodeEntry } from '@canopy/encoding';
import { decodePage, encodePage } from './dist/page.js';
const mostMib = () =>
  Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
let state = 7;
const below = (count) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * count);
};
const place = (sequence) => ({ epoch: 1, sequence });
const entry = (sequence) =>
  encodeEntry(
    { ...place(sequence), kind: 2, group: 1, time: 1000, key: true },
    new Uint8Array(20).fill(sequence),
  );
const jobs = { node: { scraped: 1, journalled: 1, missed: 0, frames: 1, samples: 2, refused: { x: 1 } } };
const page = encodePage({
  ...{ serverName: 'leaf', serverTime: 1, report: undefined, excluded: ['c'.repeat(32)] },
  journals: ['a', 'b'].map((digit) => ({
    ...{ ref: digit.repeat(32), from: place(0), position: place(9), newest: place(9) },
    ...{ trimmed: place(0), watermark: 0, keptFor: 1, cursor: 'abc', more: true, epochBreak: false },
    ...{ behindBytes: 5, entries: [1, 2, 3, 9].map(entry) },
    trail: [{ name: 'leaf', position: place(9), frames: 4, jobs, windows: [[1, 2, 3, 4]] }],
  })),
});
const limits = { pageBytesMax: 1 << 20, journalsMax: 50 };
decodePage(page, limits);
const before = mostMib();
let taken = 0;
const rounds = Number(process.argv[1]);
for (let round = 0; round < rounds; round++) {
  const bytes = page.slice();
  const end = bytes.length - 4;
  for (let left = 1 + below(2); left > 0; left--) {
    // A varint of up to 2^53 - 1, over whatever was there.
    const size = 2 + below(7);
    const at = 4 + below(end - 4 - size);
    bytes.fill(255, at, at + size - 1);
    bytes[at + size - 1] = size === 8 ? 15 : 127;
  }
  new DataView(bytes.buffer).setUint32(end, crc32c(bytes, 0, end), true);
  try {
    decodePage(bytes, limits);
    taken++;
  } catch (error) {
    if (error.code !== 'format') throw error;
  }
}
console.log(JSON.stringify({ grown: Math.round(mostMib() - before), taken }));
`;

it('no more memory than a bound, whatever pages say', () => {
  const rounds = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 300) * 50;
  const folder = new URL('..', import.meta.url);
  const flags = [`--max-old-space-size=${HEAP_MIB_MAX}`, '--input-type=module', '-e', SCRIPT];
  const child = spawnSync(process.execPath, [...flags, String(rounds)], {
    ...{ cwd: folder, encoding: 'utf8', timeout: 120_000 },
  });
  expect([child.status, child.stderr]).toEqual([0, '']);
  const { grown, taken } = JSON.parse(child.stdout) as { grown: number; taken: number };
  console.log(`${grown} MiB more at the most, ${taken} of ${rounds} taken`);
  expect(grown).toBeLessThan(MIB_MAX);
  // Some are whole all the same, so the others got far.
  expect(taken).toBeGreaterThan(rounds / 100);
  expect(taken).toBeLessThan(rounds);
});
