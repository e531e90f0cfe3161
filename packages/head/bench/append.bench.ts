/**
 * Appending: groups of 1,000 slots, a fifth of them changing, 480 frames.
 *   npx tsx --conditions=canopy-source --expose-gc packages/head/bench/append.bench.ts [groups]
 * Beside it the rival that needs no head: only decoding the frames.
 */
import { readFileSync } from 'node:fs';
import { FrameDecoder, entryPayload } from '@canopy/encoding';
import { EntryKind, type JournalEntry, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { Head } from '../src/index.js';
import { JournalScript } from '../src/testing/index.js';

const GROUPS = Number(process.argv[2] ?? 4);
const SLOTS = 1000;
const FRAMES = 480;
const KEY_EVERY = 120;
const START = 1_700_000_000_000;
const INTERVAL = 15_000;

/** Counters and gauges as exporters have them: most stand still, some count, some waver. */
function script(): JournalScript {
  const journal = new JournalScript('a');
  const groups = Array.from({ length: GROUPS }, (_, g) => {
    const group = journal.group({ interval: INTERVAL });
    for (let slot = 0; slot < SLOTS; slot++) {
      const name = `metric_${slot % 200}_total`;
      const instance = `host-${g}.example:9100`;
      group.add({ __name__: name, instance, job: 'node', cluster: 'east', device: `dev${slot}` });
    }
    return group;
  });
  const states = new Uint8Array(SLOTS).fill(1);
  const values = Array.from({ length: GROUPS }, () =>
    Float64Array.from({ length: SLOTS }, (_, slot) => slot * 1000),
  );
  let seed = 1;
  const random = (): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  // The last one is a key frame: it closes the fourth tile.
  for (let frame = 0; frame <= FRAMES; frame++) {
    groups.forEach((group, g) => {
      for (let slot = 0; slot < SLOTS; slot += 5) {
        const kind = (slot / 5) % 4;
        if (kind < 2) values[g][slot] += Math.floor(random() * 100);
        else if (kind === 2) values[g][slot] = Math.floor(random() * 1e6) / 1000;
        else values[g][slot] += random() * 10;
      }
      group.columns(START + frame * INTERVAL, states, values[g], frame % KEY_EVERY === 0);
    });
  }
  return journal;
}

/** What the main thread has run: others on the machine and the collector's helpers count little. */
function cpuMs(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return performance.now();
  }
}

function memory(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function decodeOnly(entries: readonly JournalEntry[]): number {
  const decoders = new Map<number, FrameDecoder>();
  const start = cpuMs();
  for (const entry of entries) {
    if (entry.kind !== EntryKind.frame) continue;
    let decoder = decoders.get(entry.group);
    if (decoder === undefined) decoders.set(entry.group, (decoder = new FrameDecoder()));
    decoder.decodeAligned(entryPayload(entry), entry.key);
  }
  return cpuMs() - start;
}

function append(journal: JournalScript): {
  ms: number;
  bytes: number;
  head: Head;
  longest: number;
} {
  const before = memory();
  let tileBytes = 0;
  const head = new Head({
    clock: new VirtualClock(START),
    windowMs: asDuration(7_200_000),
    tileFrames: KEY_EVERY,
    outOfOrderWindow: asDuration(600_000),
    onTileClosed: (_ref, tile) => void (tileBytes += tile.bytes.length),
    tileSource: null,
    maxSeries: 10_000_000,
  });
  const start = cpuMs();
  let longest = 0;
  for (const entry of journal.entries) {
    const from = performance.now();
    head.apply(journal.ref, [entry]);
    longest = Math.max(longest, performance.now() - from);
  }
  return { ms: cpuMs() - start, bytes: memory() - before, head, longest };
}

const journal = script();
const samples = GROUPS * SLOTS * FRAMES;
append(journal); // warm up
for (let round = 0; round < 3; round++) {
  const decoding = decodeOnly(journal.entries);
  const { ms, bytes, head, longest } = append(journal);
  const perSample = (part: number): string => ((part * 1e6) / samples).toFixed(1);
  const { series, tileBytes, tailBytes } = head.stats;
  console.log(
    `append ${perSample(ms)} ns a sample, decoding alone ${perSample(decoding)} (ratio ${(ms / decoding).toFixed(1)}), longest entry ${longest.toFixed(1)} ms; ` +
      `memory ${(bytes / series).toFixed(0)} B a series at ${FRAMES} samples ` +
      `(tiles ${(tileBytes / series).toFixed(0)}, tail ${(tailBytes / series).toFixed(0)})`,
  );
}
if (globalThis.gc === undefined) console.log('memory is not exact without --expose-gc');
